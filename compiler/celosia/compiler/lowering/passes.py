"""Which passes a column tile runs: those whose weights aren't all zeros, in few MATMULs.

A MATMUL runs a box of passes. Skipping leaves several boxes: each costs the fetch of its
instructions, which matters where passes are short, so that a tile may be cheaper with its zeros.
"""

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.costs import matmul_cycles
from celosia.compiler.layers import MatmulWork, PassBox
from celosia.golden.config import NpuConfig


def choose_boxes(needed: NDArray[np.bool_], pixels: int, config: NpuConfig) -> tuple[PassBox, ...]:
    """The boxes that run every needed pass of [kernel y, kernel x, input vector] soonest.

    `pixels` is how many are computed at a time. Where no pass is needed one is run all the same:
    the accumulators must become zero.
    """
    whole = _box((0, 0, 0), needed.shape)
    if needed.all():
        return (whole,)
    if not needed.any():
        return (_box((0, 0, 0), (1, 1, 1)),)
    single = tuple(_box(tuple(first), (1, 1, 1)) for first in np.argwhere(needed).tolist())
    # The first of equals: fewer instructions.
    return min(
        ((whole,), _joined(needed), single),
        key=lambda boxes: matmul_cycles(config, MatmulWork.of(boxes), pixels),
    )


def _joined(needed: NDArray[np.bool_]) -> tuple[PassBox, ...]:
    """Boxes of needed passes, each as long as it can be along every axis, the last axis first."""
    left = needed.copy()
    boxes = []
    while left.any():
        first = np.unravel_index(int(left.argmax()), left.shape)
        end = [int(position) + 1 for position in first]
        for axis in reversed(range(left.ndim)):
            region = [slice(int(start), stop) for start, stop in zip(first, end, strict=True)]
            while end[axis] < left.shape[axis]:
                region[axis] = slice(end[axis], end[axis] + 1)
                if not left[tuple(region)].all():
                    break
                end[axis] += 1
        left[tuple(slice(int(start), stop) for start, stop in zip(first, end, strict=True))] = False
        size = tuple(stop - int(start) for start, stop in zip(first, end, strict=True))
        boxes.append(_box(tuple(int(position) for position in first), size))
    # Boxes of one size side by side: fewer settings.
    return tuple(sorted(boxes, key=lambda box: (box.size, box.first)))


def _box(first: tuple[int, ...], size: tuple[int, ...]) -> PassBox:
    (y, x, vector), (height, width, vectors) = first, size
    return PassBox(first=(y, x, vector), size=(height, width, vectors))
