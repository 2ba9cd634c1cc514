"""Parameters of the emulator: what its cells and converters do, as integers.

A cell's conductance is a number of `CONDUCTANCE_BITS` bits, of which the upper `cell_bits` are its
level. The draws are those of a hash of (seed, purpose, place, number of the access).
`celosia.golden.crossbar.emulated` gives the integers that stand for a device.
"""

from dataclasses import dataclass

from celosia.golden.errors import CelosiaError

CONDUCTANCE_BITS = 10
ACCESS_BITS = 16
"""Width of a cell's counts of pulses and of reads, which wrap."""
SLOPE_FRACTION = 12
"""Fractional bits of slopes and of the gain of range CELL."""
SPREAD_FRACTION = 8
"""A draw is scaled by spread / 2^8."""
DRAW_SIGMA = 147.8
"""Standard deviation of a draw: that of the sum of four bytes, 4 * (256^2 - 1) / 12 squared."""
MASK = 0xFFFF_FFFF

CELL_PURPOSE, SET_PURPOSE, RESET_PURPOSE, READ_PURPOSE, PRODUCT_PURPOSE, FAULT_PURPOSE = range(1, 7)
"""What a draw is for."""

_WIDTHS = {
    "seed": 32,
    "set_on": 10,
    "set_slope": 16,
    "reset_on": 10,
    "reset_slope": 16,
    "form_line": 10,
    "full_width": 3,
    "device_spread": 8,
    "set_spread": 8,
    "reset_spread": 8,
    "read_spread": 12,
    "product_spread": 12,
    "noise_fraction": 4,
    "stuck_low": 16,
    "stuck_high": 16,
    "cell_gain": 16,
    "unformed": 1,
    "set_by_line": 1,
}
HIGHEST = {name: (1 << width) - 1 for name, width in _WIDTHS.items()}
"""The highest value of each integer."""


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig:
    """What every cell and converter of the emulator does.

    A SET pulse lifts a cell towards (word line - `set_on`) * `set_slope`, a RESET pulse lowers it
    towards top - (line - `reset_on`) * `reset_slope`: a pulse of 2^`full_width` units or more
    goes all the way, a shorter one its share of it.

    Attributes:
        device: whose ramps and windows program the cells, a preset or a TOML file; nothing that
            the gateware depends on.
        seed: of all draws.
        set_on, set_slope: word-line code at which SET reaches nothing; conductance for each code
            above it, Q12.
        reset_on, reset_slope: the same of RESET's line code, downwards from the top.
        form_line: line code from which on FORM forms a cell, give or take its own deviation.
        full_width: logarithm of the width of a full pulse.
        device_spread: how much cells differ: of what a pulse aims at, and of `form_line`.
        set_spread, reset_spread: how much pulses on one cell differ.
        read_spread: noise of a read of one cell, in steps of 2^-`noise_fraction`.
        product_spread: noise of a column in a product, at a sum of 1, in the same steps; it grows
            with the sum's root.
        noise_fraction: fractional bits of both.
        stuck_low, stuck_high: cells of 65,536 that are stuck.
        cell_gain: codes of range CELL for a conductance of 1, Q12.
        unformed: 1: cells conduct nothing before they were formed.
        set_by_line: 1: it is the bit line's code that SET aims by, in place of the word line's.

    Raises:
        CelosiaError: a value is of the wrong type or doesn't fit its field.
    """

    device: str = "ideal"
    seed: int = 1
    set_on: int = 200
    set_slope: int = 13107
    reset_on: int = 200
    reset_slope: int = 13107
    form_line: int = 500
    full_width: int = 0
    device_spread: int = 0
    set_spread: int = 0
    reset_spread: int = 0
    read_spread: int = 0
    product_spread: int = 0
    noise_fraction: int = 0
    stuck_low: int = 0
    stuck_high: int = 0
    cell_gain: int = 1088
    unformed: int = 0
    set_by_line: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not self.device:
            raise CelosiaError(f"device must be a non-empty string, not {self.device!r}")
        for name, highest in HIGHEST.items():
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= highest:
                raise CelosiaError(f"{name} must be an integer from 0 to {highest}, not {value!r}")


IDEAL = EmulatorConfig()
"""Cells of 4 bits on which a pulse lands exactly, as the device preset `ideal` has them: a level
for each 0.1 V, from 1 V on, and 17 codes of 8 bits for each level."""
