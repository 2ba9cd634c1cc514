"""Blocks of cells as multiports, and two neighbours joined into one.

A block of a crossbar touches the rest at its lines' ends. It is described by what flows rather than
by admittances: it takes the voltages at its left and bottom end and the currents that leave at its
right and enter at its top, and gives the other quantity of each. For one cell of conductance G
between a row segment r and a column segment c, the current through it is

    i = G (v_left - r i_right - v_bottom - c i_top) / (1 + G (r + c))

Such a description exists for lines without resistance, too, and a join solves (1 + impedance x
admittance), which is well conditioned: resistances near or at 0 are nothing special.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Sides = tuple[int, int, int, int]
"""Lines at the left, right, bottom and top of a block."""

_BATCHED = 32
"""Up to this many rows and columns, all blocks are joined at once; larger ones one by one, without
what the array's edges don't need."""


@dataclass(frozen=True)
class Block:
    """A multiport, or many alike.

    Attributes:
        matrix: [..., outputs, inputs]; both stand in the order left, right, bottom, top.
        inputs: how many inputs each side has: voltages at left and bottom, currents that leave at
            the right and enter at the top.
        outputs: how many outputs each side has: currents that enter at the left and leave at the
            bottom, voltages at right and top.
    """

    matrix: FloatArray
    inputs: Sides
    outputs: Sides

    def part(self, output: int, given: int) -> FloatArray:
        """How the outputs of one side depend on the inputs of another, by their numbers."""
        return self.matrix[..., _slices(self.outputs)[output], _slices(self.inputs)[given]]

    def __getitem__(self, index: Any) -> "Block":
        """Some of many."""
        return Block(self.matrix[index], self.inputs, self.outputs)


def cells(conductance: FloatArray, row: FloatArray, column: FloatArray) -> Block:
    """A block [rows, columns] of single cells (siemens) with the segments before them (ohm)."""
    through = conductance / (1 + conductance * (row + column))
    current = np.stack([through, -row * through, -through, -column * through], axis=-1)
    left = current + np.array([0, 1, 0, 0])
    bottom = current + np.array([0, 0, 0, 1])
    right = np.array([1, 0, 0, 0]) - row[..., None] * left
    top = np.array([0, 0, 1, 0]) + column[..., None] * bottom
    return Block(np.stack([left, right, bottom, top], axis=-2), (1, 1, 1, 1), (1, 1, 1, 1))


def whole(blocks: Block) -> Block:
    """All of `blocks` [rows from the bottom, columns] joined: from voltages at the left to currents
    at the bottom, nothing else.

    Cells that conduct nothing are added at right and top to fill blocks of a power of two; their
    lines are there at the far end of inputs and outputs.
    """
    rows, columns = blocks.matrix.shape[:2]
    height, width = (min(_BATCHED, 1 << (size - 1).bit_length()) for size in (rows, columns))
    blocks = _filled(blocks, -rows % height, -columns % width)
    while blocks.matrix.shape[:2] != (-(-rows // height), -(-columns // width)):
        if blocks.inputs[2] < width:
            blocks = join(blocks[:, 0::2], blocks[:, 1::2])
        if blocks.inputs[0] < height:
            blocks = _turned(join(_turned(blocks[0::2]), _turned(blocks[1::2])))
    grid = _without_edges(blocks)
    while len(grid) > 1 or len(grid[0]) > 1:
        if len(grid[0]) >= len(grid):
            grid = [_pairs(row) for row in grid]
        else:
            turned = ([_turned(block) for block in column] for column in zip(*grid, strict=True))
            joined = [[_turned(block) for block in _pairs(column)] for column in turned]
            grid = [list(row) for row in zip(*joined, strict=True)]
    return grid[0][0]


def join(a: Block, b: Block) -> Block:
    """One block of `a` and, at its right, `b`.

    With the voltage x and the current y at the lines between them: x = x0 + P y, y = y0 + Q x.
    """
    P, Q = a.part(1, 1), b.part(0, 0)
    inputs = _beside(a.inputs, b.inputs)
    outputs = _beside(a.outputs, b.outputs)
    given, result = _slices(inputs), _slices(outputs)
    lead, size = P.shape[:-2], P.shape[-1]
    voltage = np.empty((*lead, size, sum(inputs)))
    current = np.zeros((*lead, size, sum(inputs)))
    for side, place in _OF_FIRST:
        voltage[..., given[place]] = a.part(1, side)
    for side, place in _OF_SECOND:
        current[..., given[place]] = b.part(0, side)
        voltage[..., given[place]] = P @ b.part(0, side)
    voltage = np.linalg.solve(np.eye(size) - P @ Q, voltage)
    current += Q @ voltage
    matrix = np.empty((*lead, sum(outputs), sum(inputs)))
    for block, sides, inner, flow in ((a, _OF_FIRST, 1, current), (b, _OF_SECOND, 0, voltage)):
        for side, place in sides:
            rows = matrix[..., result[place], :]
            np.matmul(block.part(side, inner), flow, out=rows)
            for other, column in sides:
                rows[..., given[column]] += block.part(side, other)
    return Block(matrix, _summed(inputs), _summed(outputs))


_OF_FIRST = ((0, 0), (2, 2), (3, 4))
"""Sides of the left block that remain, and their places in the joined one: left, right, then bottom
of both and top of both."""
_OF_SECOND = ((1, 1), (2, 3), (3, 5))


def _beside(a: Sides, b: Sides) -> tuple[int, ...]:
    return a[0], b[1], a[2], b[2], a[3], b[3]


def _summed(sizes: tuple[int, ...]) -> Sides:
    return sizes[0], sizes[1], sizes[2] + sizes[3], sizes[4] + sizes[5]


def _slices(sizes: tuple[int, ...]) -> list[slice]:
    return [slice(start, stop) for start, stop in pairwise(accumulate(sizes, initial=0))]


def _pairs(blocks: list[Block]) -> list[Block]:
    """Neighbours joined; an odd last one is left as it is."""
    joined = [join(a, b) for a, b in zip(blocks[0::2], blocks[1::2], strict=False)]
    return joined + blocks[2 * len(joined) :]


def _turned(block: Block) -> Block:
    """Rows and columns in each other's place, so that `join` joins bottom and top."""
    (a, b, c, d), (e, f, g, h) = block.inputs, block.outputs
    matrix = np.roll(block.matrix, (g + h, c + d), axis=(-2, -1))
    return Block(matrix, (c, d, a, b), (g, h, e, f))


def _without_edges(blocks: Block) -> list[list[Block]]:
    """A grid of blocks without what nothing is connected to or nobody asks for: no current leaves
    at the right of the array or enters at its top, and its bottom is at ground."""
    rows, columns = blocks.matrix.shape[:2]
    grid = []
    for row in range(rows):
        above, below = row < rows - 1, row > 0
        grid.append(
            [
                _only(
                    blocks[row, column],
                    (True, column < columns - 1, below, above),
                    (column > 0, column < columns - 1, True, above),
                )
                for column in range(columns)
            ]
        )
    return grid


def _only(block: Block, inputs: tuple[bool, ...], outputs: tuple[bool, ...]) -> Block:
    """The block without the inputs and outputs of some sides."""
    matrix = block.matrix[np.repeat(outputs, block.outputs)][:, np.repeat(inputs, block.inputs)]
    left_in = [size * keep for size, keep in zip(block.inputs, inputs, strict=True)]
    left_out = [size * keep for size, keep in zip(block.outputs, outputs, strict=True)]
    return Block(matrix, _four(left_in), _four(left_out))


def _four(sizes: list[int]) -> Sides:
    left, right, bottom, top = sizes
    return left, right, bottom, top


def _filled(blocks: Block, rows: int, columns: int) -> Block:
    """`blocks` [rows, columns] of cells with more that conduct nothing at top and right."""
    nothing = cells(np.zeros(1), np.zeros(1), np.zeros(1)).matrix[0]
    height, width = blocks.matrix.shape[:2]
    matrix = np.empty((height + rows, width + columns, *nothing.shape))
    matrix[...] = nothing
    matrix[:height, :width] = blocks.matrix
    return Block(matrix, blocks.inputs, blocks.outputs)
