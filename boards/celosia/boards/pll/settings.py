"""What the families' PLLs share: settings, limits, and how the best are chosen."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from celosia.golden.errors import CelosiaError

TOLERANCE = Fraction(1, 100)
"""How far from the wanted frequency a PLL's may be."""


@dataclass(frozen=True)
class Limits:
    """What a data sheet allows, in MHz: input, phase detector, oscillator (VCO), output."""

    input_mhz: tuple[Fraction, Fraction]
    detector_mhz: tuple[Fraction, Fraction]
    vco_mhz: tuple[Fraction, Fraction]
    output_mhz: tuple[Fraction, Fraction]


@dataclass(frozen=True, kw_only=True)
class PllSettings:
    """One way to set a PLL, and the frequencies that it gives.

    Attributes:
        input_mhz, detector_mhz, vco_mhz, output_mhz: exact, in MHz.
        dividers: what the primitive is told, by the names of its parameters.
        doubled: whether there is a second output, of twice the frequency and in phase.
    """

    input_mhz: Fraction
    detector_mhz: Fraction
    vco_mhz: Fraction
    output_mhz: Fraction
    dividers: Mapping[str, int]
    doubled: bool = False

    def within(self, limits: Limits) -> bool:
        """Does the data sheet allow it?"""
        return all(
            low <= value <= high
            for value, (low, high) in (
                (self.input_mhz, limits.input_mhz),
                (self.detector_mhz, limits.detector_mhz),
                (self.vco_mhz, limits.vco_mhz),
                (self.output_mhz, limits.output_mhz),
            )
        )


def limits(*ranges: tuple[float, float]) -> Limits:
    """Limits from pairs of numbers, in the order of the fields."""
    return Limits(*((exact(low), exact(high)) for low, high in ranges))


def exact(mhz: float) -> Fraction:
    """The number that the decimal digits say, not the nearest binary one."""
    return Fraction(repr(mhz)) if isinstance(mhz, float) else Fraction(mhz)


def vco_range(allowed: Limits, divider: int) -> tuple[Fraction, Fraction]:
    """The VCO's frequencies that it, and the output behind this divider, allow."""
    low, high = allowed.output_mhz
    return max(allowed.vco_mhz[0], low * divider), min(allowed.vco_mhz[1], high * divider)


def near(ideal: Fraction, low: Fraction, high: Fraction) -> set[int]:
    """The whole numbers on both sides of the ideal one that lie within the bounds.

    Where the ideal one is out of bounds, the nearest within them; none where there is none.
    """
    least, most = math.ceil(low), math.floor(high)
    if least > most:
        return set()
    below = math.floor(ideal)
    return {min(max(number, least), most) for number in (below, below + 1)}


def best(
    candidates: Iterable[PllSettings], allowed: Limits, input_mhz: float, output_mhz: float
) -> PllSettings:
    """The candidate nearest to the wanted frequency.

    Among equals the one with the fastest phase detector, which corrects the oscillator most often,
    and then with the oscillator nearest to the middle of its range.

    Raises:
        CelosiaError: none comes within 1 %.
    """
    wanted = exact(output_mhz)
    middle = sum(allowed.vco_mhz, Fraction()) / 2

    def rank(entry: PllSettings) -> tuple[Fraction, Fraction, Fraction]:
        return abs(entry.output_mhz - wanted), -entry.detector_mhz, abs(entry.vco_mhz - middle)

    usable = [entry for entry in candidates if entry.within(allowed)]
    found = min(usable, key=rank, default=None)
    if found is None or abs(found.output_mhz - wanted) > TOLERANCE * wanted:
        low, high = allowed.output_mhz
        nearest = "" if found is None else f"; the nearest is {float(found.output_mhz):.6g} MHz"
        raise CelosiaError(
            f"frequency_mhz must be one that the PLL can make from {input_mhz:g} MHz, from "
            f"{float(low):g} to {float(high):g}, not {output_mhz:g}{nearest}"
        )
    return found
