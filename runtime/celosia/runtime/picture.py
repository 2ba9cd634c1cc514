"""The picture that ends a demonstration: what the network saw and where the cycles went."""

import importlib.util
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError
from celosia.golden.memory_map import Counter
from celosia.runtime.waits import MEANINGS

COLOURS = {
    Counter.MATRIX_BUSY: "#3b7a57",
    Counter.MATRIX_DEPTHWISE: "#8fbf6a",
    Counter.MATRIX_CROSSBAR: "#2f9aa0",
    Counter.MATRIX_WEIGHTS: "#d9a441",
    Counter.MATRIX_DEPENDENCY: "#c8553d",
    Counter.MATRIX_ACCUMULATORS: "#8c5e9e",
    Counter.MATRIX_MEMORY: "#4f7cac",
    Counter.MATRIX_IDLE: "#bfbfbf",
}


def require_matplotlib() -> None:
    """Raise CelosiaError where the library that draws isn't installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise CelosiaError(
            'matplotlib must be installed to draw the picture: pip install "celosia[plots]"'
        )


def _draw_layers(axis: Any, layers: Sequence[tuple[str, dict[Counter, int]]]) -> None:
    """Bars of layers' cycles, by what the array did."""
    names = [name for name, _ in layers]
    start = np.zeros(len(layers))
    for counter, meaning in MEANINGS.items():
        cycles = np.array([counts[counter] for _, counts in layers], float)
        if cycles.any():
            axis.barh(names, cycles, left=start, color=COLOURS[counter], label=meaning)
        start += cycles
    axis.invert_yaxis()
    axis.set_xlabel("clock cycles of one inference")
    axis.legend(fontsize=7, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)


def draw_run(
    images: NDArray[np.int8],
    labels: Sequence[int],
    predictions: Sequence[int],
    engines: Mapping[str, Sequence[tuple[str, dict[Counter, int]]]],
    title: str,
) -> bytes:
    """A PNG: digits [n, height, width] with what the hardware took them for, and layer cycles.

    `engines` has for each engine its layers: the name of each, and the cycles that its counters
    grew by.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    parts: Any = figure.subfigures(2, 1, height_ratios=[1, 1.25])
    top, bottom = parts
    axes = np.atleast_2d(top.subplots(2, -(-len(images) // 2))).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image, label, prediction in zip(axes, images, labels, predictions, strict=False):
        axis.imshow(image, cmap="gray_r")
        right = label == prediction
        axis.set_title(
            f"{prediction}" if right else f"{prediction} (is {label})",
            color="#3b7a57" if right else "#c8553d",
            fontsize=10,
        )
    for axis, (engine, layers) in zip(
        np.atleast_1d(bottom.subplots(1, len(engines))), engines.items(), strict=True
    ):
        _draw_layers(axis, layers)
        axis.set_title(f"on the {engine}", fontsize=10)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
