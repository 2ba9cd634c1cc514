"""Curves over conductance in which spreads are published: spread against state, both in uS."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError

FloatArray = NDArray[np.float64]


class Shape(StrEnum):
    """What the numbers of a curve mean."""

    POLYNOMIAL = "polynomial"
    """Coefficients c0, c1, ... of c0 + c1 G + c2 G^2 ...; below zero it is zero."""
    SATURATING = "saturating"
    """A, B of A (1 - exp(-G / B))."""
    POINTS = "points"
    """G0, y0, G1, y1, ...: straight lines between the points, level outside of them."""


@dataclass(frozen=True)
class Curve:
    """A curve y(G), G and y in uS, y at least 0.

    Raises:
        CelosiaError: the numbers don't make a curve of this shape.
    """

    shape: Shape
    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.numbers)
        if self.shape == Shape.POLYNOMIAL:
            good, what = count > 0, "at least one coefficient"
        elif self.shape == Shape.SATURATING:
            good, what = count == 2 and self.numbers[1] > 0, "a height and a positive scale"
        else:
            states = self.numbers[::2]
            rising = all(a < b for a, b in pairwise(states))
            good, what = count >= 2 and count % 2 == 0 and rising, "pairs with rising conductances"
        if not good:
            raise CelosiaError(f"{self.shape} must be {what}, not {list(self.numbers)!r}")

    def __call__(self, conductances: FloatArray) -> FloatArray:
        """y of each conductance, uS."""
        if self.shape == Shape.POLYNOMIAL:
            y = np.polynomial.polynomial.polyval(conductances, self.numbers)
        elif self.shape == Shape.SATURATING:
            y = -self.numbers[0] * np.expm1(-conductances / self.numbers[1])
        else:
            y = np.interp(conductances, self.numbers[::2], self.numbers[1::2])
        return np.maximum(y, 0.0)


NOTHING = Curve(Shape.POLYNOMIAL, (0.0,))
"""No spread at any state."""
