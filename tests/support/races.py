"""The order of a program's instructions, checked by their semaphores alone."""

import numpy as np

from celosia.compiler.assembler import disassemble
from celosia.golden.isa import (
    Add,
    Depthwise,
    Drain,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    Semaphore,
    Unit,
)


class Race(Exception):
    pass


def grid(start, steps, counts):
    """start + every combination of steps, flat."""
    total = np.full(1, start)
    for step, count in zip(steps, counts, strict=True):
        total = (total[:, None] + np.arange(count) * step).reshape(-1)
    return total


class Settings:
    """What the setting instructions of both units have set so far."""

    def __init__(self):
        self.levels = {MatrixLoop: {}, PostLoop: {}}
        self.images = {}
        self.output = None

    def take(self, instruction):
        match instruction:
            case MatrixLoop() | PostLoop():
                self.levels[type(instruction)][instruction.level] = instruction
            case MatrixInput() | PostInput():
                self.images[type(instruction)] = instruction
            case PostOutput():
                self.output = instruction

    def gathered(self, instruction, loop, image, counts, depth=5):
        """Addresses inside the image that a nest of `depth` levels reads."""
        levels = self.levels[loop]
        counts = [counts.get(n, levels[n].count) for n in range(depth)]
        address, y, x = (
            grid(start, [getattr(levels[n], key) for n in range(depth)], counts)
            for start, key in (
                (instruction.address, "address_step"),
                (instruction.y, "y_step"),
                (instruction.x, "x_step"),
            )
        )
        bounds = self.images[image]
        return address[(y >= 0) & (y < bounds.height) & (x >= 0) & (x < bounds.width)]

    def stored(self, instruction, vectors):
        """Addresses that DRAIN and POOL write."""
        steps = (self.output.row_step, self.output.column_step, 1)
        return grid(instruction.output, steps, (instruction.rows, instruction.columns, vectors))


def touched(instruction, settings):
    """(scratchpad read, scratchpad written) by an instruction."""
    none = np.zeros(0, int)
    match instruction:
        case Matmul():
            counts = {0: instruction.columns, 1: instruction.rows}
            return settings.gathered(instruction, MatrixLoop, MatrixInput, counts), none
        case Depthwise():
            counts = {0: instruction.strip_rows, 1: instruction.strip_columns}
            return settings.gathered(instruction, MatrixLoop, MatrixInput, counts, depth=2), none
        case Drain():
            return none, settings.stored(instruction, instruction.vectors)
        case Add() | Mul():
            run = np.arange(instruction.count)
            again = run % (instruction.b_vectors or instruction.count)
            both = np.concatenate([instruction.a + run, instruction.b + again])
            return both, instruction.output + run
        case Pool():
            counts = {3: instruction.columns, 4: instruction.rows}
            vectors = settings.levels[PostLoop][2].count
            read = settings.gathered(instruction, PostLoop, PostInput, counts)
            return read, settings.stored(instruction, vectors)
    return none, none


def check_order(instructions, config):
    """Raise Race where the semaphores allow an instruction to start too early."""
    other = {Unit.MATRIX: Unit.POST, Unit.POST: Unit.MATRIX}
    done = dict.fromkeys(other, -1)  # by unit: instructions of the other that it knows complete
    signals = {semaphore: [] for semaphore in Semaphore}
    written = np.full(config.scratchpad_depth, -1)  # by POST
    read = np.full(config.scratchpad_depth, -1)  # by MATRIX
    filled = np.full(config.accumulator_depth, -1)
    drained = np.full(config.accumulator_depth, -1)
    settings = Settings()
    for index, instruction in enumerate(instructions):
        unit = instruction.unit()
        settings.take(instruction)
        if unit not in other:
            continue
        for semaphore in Semaphore:
            if semaphore & instruction.wait:
                signaller = signals[semaphore].pop(0)
                done[unit] = max(done[unit], signaller)
        reads, writes = touched(instruction, settings)
        earlier = -1
        if unit is Unit.MATRIX and reads.size:
            earlier = written[reads].max()
            read[reads] = index
        elif unit is Unit.POST and writes.size:
            earlier = read[writes].max()
            written[writes] = index
        if isinstance(instruction, (Matmul, Depthwise, Drain)):
            first = instruction.accumulator
            half = slice(first, first + instruction.rows * instruction.columns)
            mine, others = (filled, drained) if unit is Unit.MATRIX else (drained, filled)
            earlier = max(earlier, others[half].max())
            mine[half] = index
        if earlier > done[unit]:
            raise Race(f"{instruction} may start before {instructions[earlier]} is complete")
        for semaphore in Semaphore:
            if semaphore & instruction.signal:
                signals[semaphore].append(index)
    assert not any(signals.values())


def instructions_of(program, entry=0):
    return [i for _, i in disassemble(program.config, program.image, program.starts[entry])]
