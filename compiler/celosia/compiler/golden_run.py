"""Programs on the golden machine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Program, Write
from celosia.golden.machine import ExactTiles, Machine, MatrixEngine, TileEngine


def load_machine(
    program: Program, engine: MatrixEngine | None = None, tiles: TileEngine | None = None
) -> Machine:
    """A machine of the program's configuration with the program in its weight memory.

    Its crossbar tiles, where it has some, are exact by default.
    """
    if tiles is None and program.crossbar:
        tiles = ExactTiles(np.stack([tile.weights for tile in program.crossbar]))
    machine = Machine(program.config, engine, tiles)
    image = np.frombuffer(program.image, np.uint8)
    machine.weights.reshape(-1)[: image.size] = image
    return machine


def write_inputs(machine: Machine, writes: Sequence[Write]) -> None:
    """Put vectors [n, R] into the scratchpad, each at its address."""
    for address, vectors in writes:
        machine.scratchpad[address : address + len(vectors)] = vectors


def read_outputs(machine: Machine, program: Program, entry: int = 0) -> list[NDArray[np.int8]]:
    """Copies of the vectors [n, R] of each of the program's outputs, where `entry` has them."""
    places = [(port.addresses[entry], port.vectors(program.config)) for port in program.outputs]
    return [machine.scratchpad[first : first + count].copy() for first, count in places]


def run_on_machine(
    program: Program, inputs: Sequence[NDArray[Any]], machine: Machine | None = None
) -> list[NDArray[Any]]:
    """One inference on a machine (by default a new one) that holds the program.

    Raises:
        CelosiaError: the inputs aren't the model's, or the program can't be executed.
    """
    machine = load_machine(program) if machine is None else machine
    values, writes = program.prepare(inputs)
    write_inputs(machine, writes)
    machine.run(program.start)
    return program.finish(values, read_outputs(machine, program))
