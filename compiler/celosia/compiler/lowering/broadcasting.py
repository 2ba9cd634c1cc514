"""How two operands of different shapes are walked: runs of vectors that one instruction takes."""

from collections.abc import Sequence
from math import prod

import numpy as np

from celosia.compiler.layers import Run


def aligned(shape: Sequence[int], rank: int) -> tuple[int, ...]:
    """A shape with extents of 1 in front, as broadcasting takes it."""
    return (1,) * (rank - len(shape)) + tuple(shape)


def broadcast_runs(
    output: Sequence[int], shapes: Sequence[Sequence[int]], vectors: int
) -> tuple[int, tuple[Run, ...]]:
    """Runs over the pixels of `output`, and which of the two operands starts over in them.

    All are shapes of pixels with as many dimensions, `vectors` to a pixel; an operand has an
    output's extent, or 1. An instruction starts one operand over, `b` in a run: inside of the
    dimensions in which that one is broadcast neither may be, and behind them only that one.
    Dimensions further out are walked by one run for each of their positions.
    """
    full = [[size in (1, own) for size, own in zip(output, shape, strict=True)] for shape in shapes]
    outer = len(output)
    while outer and full[0][outer - 1] and full[1][outer - 1]:
        outer -= 1
    inner = prod(output[outer:])
    repeated = 0 if outer and not full[0][outer - 1] else 1
    other = 1 - repeated
    end = outer
    while outer and full[other][outer - 1] and not full[repeated][outer - 1]:
        outer -= 1
    count = prod(output[outer:end]) * inner
    steps = [_steps(shape) for shape in (shapes[other], shapes[repeated], output)]
    runs = []
    for position in np.ndindex(*output[:outer]):
        a, b, start = (
            sum(i * step for i, step in zip(position, each[:outer], strict=True)) for each in steps
        )
        runs.append(
            Run(
                a=a * vectors,
                b=b * vectors,
                output=start * vectors,
                count=count * vectors,
                b_vectors=inner * vectors if count > inner else 0,
            )
        )
    return repeated, tuple(runs)


def _steps(shape: Sequence[int]) -> list[int]:
    """Pixels from one position to the next of every dimension; 0 where there is only one."""
    return [0 if size == 1 else prod(shape[axis + 1 :]) for axis, size in enumerate(shape)]
