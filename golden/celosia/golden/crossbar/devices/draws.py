"""Random draws that depend on what they are for, and on nothing else.

A draw is a hash of (seed, purpose, cell, access number): no generator carries state, so the draws
of a cell are the same in whatever order cells are accessed, one by one or all at once. The hash is
64-bit integer arithmetic and the same on every machine; deviates are its inverse normal
distribution, equal to the last bits of the platform's logarithm.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class Purpose(IntEnum):
    """What a draw is for."""

    FORM_VOLTAGE = 1
    FORMED = 2
    FORM_FAILS = 3
    STUCK = 4
    GATE = 5
    LIMIT = 6
    RESET_VOLTAGE = 7
    FLOOR = 8
    CYCLE = 9
    SET_PULSE = 10
    RESET_PULSE = 11
    LANDING = 12
    RELAXATION = 13
    DRIFT = 14
    READ = 15
    LIFE = 16
    PRODUCT = 17
    ADC_OFFSET = 18
    ADC_GAIN = 19
    ADC_BOW = 20
    ADC_S = 21
    DRIVER_GAIN = 22
    DRIVER_OFFSET = 23
    PRODUCT_CONVERSION = 24
    READ_CONVERSION = 25
    DAC_GAIN = 26
    DAC_OFFSET = 27


def uniforms(
    seed: int, purpose: Purpose, cells: ArrayLike, access: ArrayLike
) -> NDArray[np.float64]:
    """One number in (0, 1) for each of cells and access numbers, which broadcast."""
    mantissas = (_hashes(seed, purpose, cells, access) >> np.uint64(11)).astype(np.float64)
    mantissas *= 2.0**-53
    mantissas += 2.0**-54
    return mantissas


def normals(
    seed: int, purpose: Purpose, cells: ArrayLike, access: ArrayLike
) -> NDArray[np.float64]:
    """One standard normal deviate for each of cells and access numbers, which broadcast."""
    deviates: NDArray[np.float64] = ndtri(uniforms(seed, purpose, cells, access))
    return deviates


def _hashes(seed: int, purpose: Purpose, cells: ArrayLike, access: ArrayLike) -> NDArray[np.uint64]:
    start = np.array([((seed << 8) + purpose) & (2**64 - 1)], np.uint64)
    of_cell = _mix(_mix(start) + _STEP * np.atleast_1d(cells).astype(np.uint64))
    return _mix(of_cell + _STEP * np.atleast_1d(access).astype(np.uint64))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection."""
    x = x ^ (x >> np.uint64(30))
    x *= _FIRST
    x ^= x >> np.uint64(27)
    x *= _SECOND
    x ^= x >> np.uint64(31)
    return x
