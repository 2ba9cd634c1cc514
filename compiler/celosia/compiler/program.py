"""The program: what the compiler makes of a model, and all that running it takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.assembler import disassemble
from celosia.compiler.layout import Layout, PixelLayout
from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.crossbar.settings import Settings
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph, Tensor
from celosia.golden.interpreter import Interpreter, check_inputs
from celosia.golden.isa import Product
from celosia.golden.rounding import RoundingProfile
from celosia.golden.timing import Profile, model_cycles

Arrays = dict[int, NDArray[Any]]
Write = tuple[int, NDArray[np.int8]]
"""Scratchpad address and the vectors [n, R] to write there."""


@dataclass(frozen=True)
class Port:
    """A tensor that the host writes to or reads from the scratchpad.

    `value` is its index in the model, `addresses` its first vector for each entry of the program.
    """

    value: int
    tensor: Tensor
    addresses: tuple[int, ...]
    layout: Layout

    @property
    def address(self) -> int:
        """Its first vector for the program's first entry."""
        return self.addresses[0]

    def vectors(self, config: NpuConfig) -> int:
        """Vectors that it takes."""
        return self.layout.vectors(config.rows)

    def pack_input(self, values: NDArray[Any], config: NpuConfig) -> NDArray[np.int8]:
        """The tensor as scratchpad vectors: int8 [n, R]."""
        return self.layout.pack(values, config.rows)

    def unpack_output(self, vectors: NDArray[np.int8]) -> NDArray[np.int8]:
        """The tensor that scratchpad vectors [n, R] hold."""
        assert isinstance(self.layout, PixelLayout)
        return self.layout.unpack(vectors, self.tensor.shape)


@dataclass(frozen=True)
class HostStage:
    """Operators that the host runs; `inputs` and `outputs` are indices in the model."""

    graph: Graph
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    profile: RoundingProfile

    @cached_property
    def _interpreter(self) -> Interpreter:
        return Interpreter(self.graph, self.profile)

    def run(self, values: Arrays) -> None:
        """Add the outputs to `values`, which hold the inputs."""
        if self.graph.operators:
            results = self._interpreter.run([values[index] for index in self.inputs])
            values.update(zip(self.outputs, results, strict=True))


@dataclass(frozen=True)
class LayerInfo:
    """A layer of the body: instructions `first` up to `end` (excluded) of the listing.

    `operator` is the operator of the model that it is, or that it prepares something for.

    `estimated_cycles` is what tiling reckoned with; `Program.modelled` has what the layer takes.
    """

    name: str
    op: str
    engine: str
    operator: int
    output: int
    macs: int
    passes: int
    estimated_cycles: int
    first: int
    end: int


@dataclass(frozen=True)
class CrossbarTile:
    """What a crossbar tile is programmed with: int8 [rows, C], zeros beyond the `driven` rows.

    `adc_gain` is the gain code of its conversions.
    """

    weights: NDArray[np.int8]
    driven: int
    adc_gain: int = GAIN_ONE


@dataclass(frozen=True)
class ProgrammingPlan:
    """How the controller brings the cells of crossbar tiles to their levels.

    `device` is what the cells are made of, as the user named it; `settings` are the controller's,
    with the device's ramps and the windows that a cell has to be in.
    """

    device: str
    settings: Settings


@dataclass(frozen=True)
class TensorPlacement:
    """Where a tensor of the body lives: layers `first` to `last` (both included) need it.

    It has `vectors` from its first to its last, and `step` from one pixel to the next. It may lie
    within the storage of another tensor, of which it is a part; else `within` is its own index.
    Tensors behind those of the model are the compiler's.
    """

    value: int
    name: str
    shape: tuple[int, ...]
    layout: Layout
    address: int
    step: int
    vectors: int
    within: int
    first: int
    last: int


def sample_inputs(inputs: Iterable[Tensor], batch: int) -> list[Tensor]:
    """The inputs of one inference, where `batch` are stacked along dimension 0."""
    return [
        tensor
        if batch == 1
        else replace(tensor, shape=(tensor.shape[0] // batch, *tensor.shape[1:]))
        for tensor in inputs
    ]


@dataclass(frozen=True)
class Program:
    """A compiled model.

    Attributes:
        name: the model's name.
        config, profile: what it was compiled for.
        batch: inferences of one run. All tensors hold that many, stacked along dimension 0.
        image: bytes of the weight memory from vector 0.
        starts: weight vectors of the first instruction, one for each entry. Two entries do the same
            on tensors that stand elsewhere: while one runs, the host writes the other's inputs and
            reads its outputs.
        signature_inputs, signature_outputs: the model's own tensors by their index, in its order.
        inputs, outputs: what the host writes and reads.
        prologue, epilogue: what the host computes before and after.
        layers: layers of the body in order; each sets one mark.
        tensors: where tensors are stored for the first entry, by the order in which they are made.
        crossbar: what the crossbar's tiles are programmed with, from tile 0 on.
        programming: how; None where there are no tiles, or nobody has said it.
    """

    name: str
    config: NpuConfig
    profile: RoundingProfile
    batch: int
    image: bytes
    starts: tuple[int, ...]
    signature_inputs: Mapping[int, Tensor]
    signature_outputs: Mapping[int, Tensor]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    prologue: HostStage
    epilogue: HostStage
    layers: tuple[LayerInfo, ...]
    tensors: tuple[TensorPlacement, ...]
    crossbar: tuple[CrossbarTile, ...] = ()
    programming: ProgrammingPlan | None = None

    @cached_property
    def modelled(self) -> Profile:
        """The performance counters of a run, by the cycle model.

        Raises:
            CelosiaError: the instructions can't be executed, or don't mark every layer's end.
        """
        listing = disassemble(self.config, self.image, self.start)
        profile = model_cycles(self.config, [instruction for _, instruction in listing])
        if len(profile.marks) != len(self.layers):
            raise CelosiaError(
                f"program must mark the ends of its {len(self.layers)} layers, "
                f"not {len(profile.marks)}"
            )
        return profile

    @cached_property
    def tile_layers(self) -> Mapping[int, LayerInfo]:
        """The layer that uses each crossbar tile, by the tile's number."""
        listing = disassemble(self.config, self.image, self.start)
        return {
            instruction.tile: layer
            for layer in self.layers
            for _, instruction in listing[layer.first : layer.end]
            if isinstance(instruction, Product)
        }

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference on the NPU."""
        return sum(layer.macs for layer in self.layers) // self.batch

    @property
    def start(self) -> int:
        """Weight vector of the first entry's first instruction."""
        return self.starts[0]

    @property
    def overlapping(self) -> bool:
        """Whether runs may take turns between two entries."""
        return len(self.starts) > 1

    @property
    def sample_inputs(self) -> list[Tensor]:
        """The inputs of one inference."""
        return sample_inputs(self.signature_inputs.values(), self.batch)

    def with_tiles(self, tiles: Sequence[CrossbarTile]) -> "Program":
        """The same with other crossbar tiles, in as many places."""
        return replace(self, crossbar=tuple(tiles))

    def prepare(self, inputs: Sequence[NDArray[Any]]) -> tuple[Arrays, list[Write]]:
        """Run the prologue: the values so far, and what to write for a run of the first entry.

        Raises:
            CelosiaError: the inputs aren't the model's in number, shape or type.
        """
        check_inputs(self.signature_inputs.values(), inputs)
        values = dict(zip(self.signature_inputs, inputs, strict=True))
        self.prologue.run(values)
        writes = [
            (port.address, port.pack_input(values[port.value], self.config)) for port in self.inputs
        ]
        return values, writes

    def writes_for(self, entry: int, writes: Sequence[Write]) -> list[Write]:
        """What to write for a run of another entry, from what `prepare` has given."""
        addresses = {port.address: port.addresses[entry] for port in self.inputs}
        return [(addresses[address], vectors) for address, vectors in writes]

    def finish(self, values: Arrays, reads: Sequence[NDArray[np.int8]]) -> list[NDArray[Any]]:
        """Run the epilogue on what was read for each of `outputs`; returns the model's outputs."""
        for port, vectors in zip(self.outputs, reads, strict=True):
            values[port.value] = port.unpack_output(vectors)
        self.epilogue.run(values)
        return [values[index] for index in self.signature_outputs]
