"""A network as a sequence of programs, between which its tensors live in host memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.golden_run import load_machine, run_on_machine
from celosia.compiler.program import (
    Arrays,
    CrossbarTile,
    HostStage,
    Program,
    ProgrammingPlan,
    sample_inputs,
)
from celosia.compiler.streaming.boxes import Box
from celosia.golden.config import NpuConfig
from celosia.golden.graph import Tensor
from celosia.golden.interpreter import check_inputs
from celosia.golden.machine import TileEngine
from celosia.golden.rounding import RoundingProfile


@dataclass(frozen=True)
class Piece:
    """One run of a program.

    Attributes:
        program: its position among the network's programs.
        inputs, outputs: (tensor of the network, box of it) for each input and output of the
            program, in the order of its signature.
    """

    program: int
    inputs: tuple[tuple[int, Box], ...]
    outputs: tuple[tuple[int, Box], ...]


@dataclass(frozen=True)
class StreamedLayer:
    """An operator of the network that the NPU runs, in as many pieces as it takes."""

    name: str
    op: str
    engine: str
    macs: int


@dataclass(frozen=True)
class StreamedProgram:
    """A compiled network that is larger than the NPU's memories.

    Attributes:
        name: the network's name.
        config, profile: what it was compiled for.
        batch: inferences of one run. All tensors hold that many, stacked along dimension 0.
        signature_inputs, signature_outputs: the network's own tensors by their index, in its order.
        tensors: what else lives in host memory: tensors between the steps, by their index.
        programs: one for each kind of piece.
        steps: pieces and the host's own operators, in execution order. Pieces that follow each
            other and run the same program don't depend on each other.
        layers: the network's operators on the NPU, in execution order.
        layer_numbers: for each program, which of `layers` each of its own layers is a part of.
        crossbar, programming: as those of a `Program`, of all pieces; every program has all tiles.
    """

    name: str
    config: NpuConfig
    profile: RoundingProfile
    batch: int
    signature_inputs: Mapping[int, Tensor]
    signature_outputs: Mapping[int, Tensor]
    tensors: Mapping[int, Tensor]
    programs: tuple[Program, ...]
    steps: tuple[Piece | HostStage, ...]
    layers: tuple[StreamedLayer, ...]
    layer_numbers: tuple[tuple[int, ...], ...]
    crossbar: tuple[CrossbarTile, ...] = ()
    programming: ProgrammingPlan | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, each counted once."""
        return sum(layer.macs for layer in self.layers) // self.batch

    @property
    def sample_inputs(self) -> list[Tensor]:
        """The inputs of one inference."""
        return sample_inputs(self.signature_inputs.values(), self.batch)

    @property
    def pieces(self) -> list[Piece]:
        """The runs of programs, in execution order."""
        return [step for step in self.steps if isinstance(step, Piece)]

    @property
    def overlapping(self) -> bool:
        """Whether the host's transfers may overlap with computation: not with pieces."""
        return False

    @cached_property
    def last_uses(self) -> Mapping[int, int]:
        """The last step that takes or makes each tensor of host memory."""
        return {
            tensor: position for position, step in enumerate(self.steps) for tensor in touched(step)
        }

    def with_tiles(self, tiles: Sequence[CrossbarTile]) -> "StreamedProgram":
        """The same with other crossbar tiles, in as many places."""
        shared = tuple(tiles)
        programs = tuple(replace(program, crossbar=shared) for program in self.programs)
        return replace(self, crossbar=shared, programs=programs)

    def begin(self, inputs: Sequence[NDArray[Any]]) -> Arrays:
        """Host memory with the network's inputs in it.

        Raises:
            CelosiaError: the inputs aren't the network's in number, shape or type.
        """
        check_inputs(self.signature_inputs.values(), inputs)
        return dict(zip(self.signature_inputs, inputs, strict=True))

    def scatter(self, piece: Piece, values: Arrays, results: Sequence[NDArray[Any]]) -> None:
        """Put the outputs of a piece into host memory."""
        for (index, box), result in zip(piece.outputs, results, strict=True):
            if index not in values:
                tensor = self.tensors[index]
                values[index] = np.zeros(tensor.shape, tensor.dtype)
            values[index][box.slices] = result

    def release(self, position: int, values: Arrays) -> None:
        """Drop from host memory what no step behind `position` needs."""
        for tensor in touched(self.steps[position]):
            if self.last_uses[tensor] == position and tensor not in self.signature_outputs:
                values.pop(tensor, None)

    def outputs(self, values: Arrays) -> list[NDArray[Any]]:
        """The network's outputs from host memory."""
        return [values[index] for index in self.signature_outputs]


def gather(piece: Piece, values: Arrays) -> list[NDArray[Any]]:
    """A piece's inputs out of host memory."""
    return [np.ascontiguousarray(values[tensor][box.slices]) for tensor, box in piece.inputs]


def run_pieces(
    program: StreamedProgram, inputs: Sequence[NDArray[Any]], tiles: TileEngine | None = None
) -> list[NDArray[Any]]:
    """One run on golden machines, all with these crossbar tiles.

    Raises:
        CelosiaError: the inputs aren't the network's, or a program can't be executed.
    """
    values = program.begin(inputs)
    for position, step in enumerate(program.steps):
        if isinstance(step, HostStage):
            step.run(values)
        else:
            part = program.programs[step.program]
            machine = load_machine(part, tiles=tiles)
            results = run_on_machine(part, gather(step, values), machine)
            program.scatter(step, values, results)
        program.release(position, values)
    return program.outputs(values)


def touched(step: Piece | HostStage) -> tuple[int, ...]:
    """Tensors of host memory that a step takes or makes."""
    if isinstance(step, HostStage):
        return (*step.inputs, *step.outputs)
    return tuple(tensor for tensor, _ in (*step.inputs, *step.outputs))
