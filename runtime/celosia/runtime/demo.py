"""The demonstration: held-out digits through the embedded network in RTL, on both engines."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from celosia.golden.memory_map import Counter
from celosia.runtime.models import embedded_data
from celosia.runtime.picture import draw_run, require_matplotlib
from celosia.runtime.run import RunReport
from celosia.runtime.session import EMBEDDED, Placement, Session, open_session

SHOWN = 10
"""Digits in the picture; the crossbar, whose products take longer, gets no more than these."""


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration showed: the run, and how many digits it took for what they are.

    `crossbar` and `crossbar_right` are the same of the first `SHOWN` digits with every convolution
    and matrix product on crossbar tiles.
    """

    report: RunReport
    right: int
    crossbar: RunReport
    crossbar_right: int
    picture: bytes

    @property
    def accuracy(self) -> float:
        """Share of the digits that were classified correctly."""
        return self.right / self.report.samples


class Demo:
    """Digits through the embedded network, step by step, so that progress can be shown.

    `config` names the NPU's configuration, `samples` is how many of the held-out digits are run.

    Raises:
        CelosiaError: there is no such configuration, the network doesn't fit it, or the library
            that draws the picture is missing.
    """

    def __init__(self, config: str, samples: int) -> None:
        require_matplotlib()  # before minutes go into what couldn't be shown
        with np.load(BytesIO(embedded_data("digits_heldout.npz"))) as held_out:
            self._images = held_out["x"][:samples]
            self._labels = held_out["y"][:samples]
        self._session = open_session(EMBEDDED, config, "tflm")
        placement = Placement(engine="crossbar")
        self._crossbar = open_session(EMBEDDED, config, "tflm", placement=placement)

    @property
    def samples(self) -> int:
        """Digits that will be run."""
        return len(self._images)

    def build(self) -> None:
        """Build the simulations, or find them in the cache."""
        self._session.open("rtl")
        self._crossbar.open("rtl")

    def run(self) -> Demonstration:
        """Run every digit in RTL and compare every byte."""
        shown = [*range(min(SHOWN, len(self._images)))]
        report, predictions = self._run(self._session, len(self._images))
        crossbar, crossbar_predictions = self._run(self._crossbar, len(shown))
        right = int((predictions == self._labels).sum())
        picture = draw_run(
            self._images[shown, :, :, 0],
            self._labels[shown].tolist(),
            predictions[shown].tolist(),
            {"systolic array": _layers(report), "crossbar": _layers(crossbar)},
            f"Celosia {report.config} in RTL: {right} of {report.samples} held-out digits right, "
            f"{report.mismatches} bytes differ from the golden model, "
            f"{report.cycles_per_inference:,} cycles each",
        )
        crossbar_right = int((crossbar_predictions == self._labels[shown]).sum())
        return Demonstration(report, right, crossbar, crossbar_right, picture)

    def _run(self, session: Session, count: int) -> tuple[RunReport, NDArray[np.int64]]:
        """The first digits in a session; its report, and what each was taken for."""
        result = session.run([[image[None]] for image in self._images[:count]])
        return result.report, result.outputs[0].argmax(axis=-1)


def _layers(report: RunReport) -> list[tuple[str, dict[Counter, int]]]:
    """What the array did in each layer."""
    return [
        (layer.name, {Counter[name.upper()]: n for name, n in (layer.waits or {}).items()})
        for layer in report.layers
    ]
