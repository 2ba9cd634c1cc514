"""The matrix engine's seam: whoever multiplies activation vectors by weight tiles."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celosia.golden.ops.matrix import EXACT_PRODUCTS


class MatrixEngine(Protocol):
    """Computes what a MATMUL adds up, all its passes at once."""

    def multiply(self, vectors: NDArray[np.int8], tiles: NDArray[np.int8]) -> NDArray[np.int64]:
        """Sums over passes of vectors [passes, P, R] times tiles [passes, R, C]: [P, C]."""
        ...


class ExactEngine:
    """The systolic array: exact sums.

    Float32 products are exact while their sums stay below 2**24; longer sums are cut.
    """

    def multiply(self, vectors: NDArray[np.int8], tiles: NDArray[np.int8]) -> NDArray[np.int64]:
        """Sums over passes of vectors [passes, P, R] times tiles [passes, R, C]: [P, C]."""
        passes, rows, columns = tiles.shape
        pixels = vectors.shape[1]
        left = vectors.transpose(1, 0, 2).astype(np.float32).reshape(pixels, passes * rows)
        right = tiles.astype(np.float32).reshape(passes * rows, columns)
        total = np.zeros((pixels, columns), np.int64)
        for start in range(0, passes * rows, EXACT_PRODUCTS):
            stop = start + EXACT_PRODUCTS
            total += (left[:, start:stop] @ right[start:stop]).astype(np.int64)
        return total
