"""STORED semaphores: each MATMUL, DEPTHWISE or PRODUCT waits until POST has stored what it reads.

Worked out from the instructions alone: which vectors of the scratchpad each of them reads and
writes. POST completes its instructions in order, so that MATRIX waits for the latest of those that
store an instruction's vectors, and only if it has not waited for one as late. The next layer thus
begins while POST is still storing the last chunks of the one before.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import NpuConfig
from celosia.golden.isa import (
    ADDRESS_BITS,
    LOOP_LEVELS,
    SEMAPHORE_MAXIMUM,
    Depthwise,
    Drain,
    Elementwise,
    Instruction,
    LoadParameters,
    LoadTable,
    LoopLevel,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
    Product,
    Semaphore,
    Unit,
)

_ADDRESS_MASK = (1 << ADDRESS_BITS) - 1
_CHANNEL_LEVEL = 2  # of POST's loop nest


def order_stores(instructions: Sequence[Instruction], config: NpuConfig) -> list[Instruction]:
    """The instructions with STORED in `wait` and `signal` wherever the order needs it.

    No instruction may wait for or signal STORED before.
    """
    ordered = list(instructions)
    addresses = _Addresses()
    stored = np.full(config.scratchpad_depth, -1)  # by which instruction
    waits: list[int] = []
    last_post = waited = -1
    for position, instruction in enumerate(instructions):
        addresses.take(instruction)
        if isinstance(instruction, (Matmul, Depthwise, Product)):
            latest = int(stored[addresses.read(instruction)].max(initial=-1))
            if latest <= waited:
                continue
            # POST may be so far ahead that those from `latest` to here have taken nothing yet.
            if len(waits) - bisect_right(waits, latest) >= SEMAPHORE_MAXIMUM:
                latest = last_post
            _add(ordered, position, "wait")
            _add(ordered, latest, "signal")
            waits.append(position)
            waited = latest
        elif instruction.unit() is Unit.POST:
            last_post = position
            stored[addresses.written(instruction)] = position
    return ordered


def _add(instructions: list[Instruction], position: int, field: str) -> None:
    instruction = instructions[position]
    semaphores = getattr(instruction, field) | Semaphore.STORED
    instructions[position] = replace(instruction, **{field: semaphores})


class _Addresses:
    """Scratchpad vectors that instructions touch, with the settings so far."""

    def __init__(self) -> None:
        self._matrix: dict[int, MatrixLoop] = {}
        self._image: MatrixInput | None = None
        self._output: PostOutput | None = None
        self._pool_vectors = 1

    def take(self, instruction: Instruction) -> None:
        """Keep what a setting sets."""
        match instruction:
            case MatrixLoop():
                self._matrix[instruction.level] = instruction
            case MatrixInput():
                self._image = instruction
            case PostOutput():
                self._output = instruction
            case PostLoop(level=level, count=count) if level == _CHANNEL_LEVEL:
                self._pool_vectors = count

    def read(self, instruction: Matmul | Depthwise | Product) -> NDArray[np.int64]:
        """What it reads: its positions inside of the image."""
        image = self._image
        assert image is not None
        if isinstance(instruction, Depthwise):
            counts = [instruction.strip_rows, instruction.strip_columns]
            levels = [self._matrix[level] for level in range(len(counts))]
        else:
            levels = [self._matrix[level] for level in range(LOOP_LEVELS)]
            if isinstance(instruction, Product):
                inner = [instruction.vectors, instruction.kernel_columns]
            else:
                inner = [instruction.columns, instruction.rows]
            counts = [*inner, *(level.count for level in levels[2:])]
        address = _grid(instruction.address, [level.address_step for level in levels], counts)
        y = _grid(instruction.y, [level.y_step for level in levels], counts)
        x = _grid(instruction.x, [level.x_step for level in levels], counts)
        inside = (y >= 0) & (y < image.height) & (x >= 0) & (x < image.width)
        return np.asarray(address[inside] & _ADDRESS_MASK)

    def written(self, instruction: Instruction) -> NDArray[np.int64]:
        """What an instruction of POST stores."""
        match instruction:
            case Drain():
                return self._pixels(instruction, instruction.vectors)
            case Pool():
                return self._pixels(instruction, self._pool_vectors)
            case Elementwise():
                return _grid(instruction.output, [1], [instruction.count]) & _ADDRESS_MASK
            case LoopLevel() | PostInput() | PostOutput() | PostScale():
                return np.zeros(0, np.int64)
            case LoadParameters() | LoadTable():
                return np.zeros(0, np.int64)
        raise AssertionError(f"what {instruction} stores must be told here")

    def _pixels(self, instruction: Drain | Pool, vectors: int) -> NDArray[np.int64]:
        output = self._output
        assert output is not None
        steps = [output.row_step, output.column_step, 1]
        counts = [instruction.rows, instruction.columns, vectors]
        return _grid(instruction.output, steps, counts) & _ADDRESS_MASK


def _grid(start: int, steps: Sequence[int], counts: Sequence[int]) -> NDArray[np.int64]:
    """start + index * step, summed over all levels: every combination, flat."""
    total = np.full(1, start, np.int64)
    for step, count in zip(steps, counts, strict=True):
        total = (total[:, None] + np.arange(count, dtype=np.int64) * step).reshape(-1)
    return total
