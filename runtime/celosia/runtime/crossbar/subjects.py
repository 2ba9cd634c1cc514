"""The networks that are characterised: where they and their samples come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.batch import batched
from celosia.compiler.crossbar import KINDS, chosen_layers, compile_placed
from celosia.compiler.crossbar_batch import CrossbarBatch
from celosia.compiler.importer import load_tflite
from celosia.compiler.streaming import StreamedProgram
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph
from celosia.golden.interpreter import Interpreter
from celosia.runtime.crossbar.accuracy import Network
from celosia.runtime.inputs import load_samples, random_samples, read_array
from celosia.runtime.models import embedded_data
from celosia.runtime.session import EMBEDDED, open_model

MAXIMUM_SAMPLES = 10_000
_SEED = 1
_CALIBRATION = 4
"""Random samples that set the converters' ranges, as in a run."""


@dataclass(frozen=True)
class Samples:
    """Inputs, stacked along dimension 0, and the class of each, where it is known."""

    inputs: list[NDArray[Any]]
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.inputs[0])


class Subject:
    """A network with the layers that go on the crossbar, and samples.

    Args:
        graph: the network.
        samples: what it is tried on.
        layers: outputs of the operators that go on the crossbar; all that can where none are given.
        config: of the NPU.

    Attributes:
        layers, tiles: on the crossbar.

    Raises:
        CelosiaError: there is no such layer, none that can go there, or the network doesn't fit or
            can't run in crossbar batches.
    """

    def __init__(
        self, graph: Graph, samples: Samples, layers: Sequence[str], config: NpuConfig
    ) -> None:
        self._graph, self._samples = graph, samples
        engine = "systolic" if layers else "crossbar"
        self._chosen = chosen_layers(graph, engine, [f"{layer}=crossbar" for layer in layers])
        if not self._chosen:
            kinds = " or ".join(kind.value for kind in KINDS)
            raise CelosiaError(f"network '{graph.name}' must have a {kinds} for the crossbar")
        tensors = [graph.tensors[index] for index in graph.inputs]
        self._calibration = random_samples(tensors, _CALIBRATION, _SEED)
        program = compile_placed(graph, config, None, self._chosen, (), {})
        if isinstance(program, StreamedProgram):
            raise CelosiaError(
                f"network '{graph.name}' must fit in one piece on {config.name} to be "
                f"characterised, and takes {len(program.pieces)}: --config must name a larger NPU"
            )
        self._program = program
        self.layers, self.tiles = len(self._chosen), len(self._program.crossbar)
        CrossbarBatch(graph, self._program, self._chosen, 1)  # before threads find that it can't be

    def network(self) -> Network:
        """One for a thread."""
        return Network(
            self._graph,
            self._program,
            self._chosen,
            self._samples.inputs,
            self._labels,
            self._calibration,
        )

    @cached_property
    def int8(self) -> float:
        """Share of the samples that the exact network has right."""
        return float((self._guesses == self._labels).mean())

    @property
    def _labels(self) -> NDArray[np.int64]:
        """What is right: the samples' classes, or else what the exact network says."""
        return self._guesses if self._samples.labels is None else self._samples.labels

    @cached_property
    def _guesses(self) -> NDArray[np.int64]:
        count = len(self._samples)
        golden = Interpreter(batched(self._graph, count), self._program.profile)
        output = golden.run(self._samples.inputs)[0]
        guesses: NDArray[np.int64] = output.reshape(count, -1).argmax(axis=1)
        return guesses


def noise_aware_graph(model: str, file: str | None) -> Graph | None:
    """The network that was trained noise-aware: from a file, or the embedded one of `digits`.

    Raises:
        CelosiaError: the file is no network.
    """
    if file is not None:
        return open_model(file)[0]
    if model == EMBEDDED:
        return load_tflite(embedded_data("digits_noise_aware_int8.tflite"))
    return None


def samples_for(
    model: str, graph: Graph, count: int, inputs: Path | None, labels: Path | None
) -> Samples:
    """At most `count` samples: from files, held-out digits for `digits`, else random ones.

    Raises:
        CelosiaError: the files don't hold what they should, or `count` is out of range.
    """
    if not 1 <= count <= MAXIMUM_SAMPLES:
        raise CelosiaError(f"samples must be from 1 to {MAXIMUM_SAMPLES}, not {count}")
    tensors = [graph.tensors[index] for index in graph.inputs]
    if labels is not None and inputs is None:
        raise CelosiaError("labels must come with the inputs that they are of (--inputs)")
    if inputs is not None:
        stacked = _stacked(load_samples(inputs, tensors)[:count])
        return Samples(stacked, None if labels is None else _classes(labels, len(stacked[0])))
    if model == EMBEDDED:
        with np.load(BytesIO(embedded_data("digits_heldout.npz"))) as held_out:
            return Samples([held_out["x"][:count]], held_out["y"][:count].astype(np.int64))
    return Samples(_stacked(random_samples(tensors, count, _SEED)), None)


def _stacked(samples: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
    return [np.concatenate(values) for values in zip(*samples, strict=True)]


def _classes(path: Path, count: int) -> NDArray[np.int64]:
    array = read_array(path, "labels")
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) < count:
        raise CelosiaError(
            f"labels {str(path)!r} must be one integer for each of the {count} samples, not "
            f"{array.dtype} of shape {array.shape}"
        )
    return array[:count].astype(np.int64)
