"""What cells are and what pulses do: groups of numbers, each a table of a device's TOML file.

Conductances are in uS, voltages in V, times in s; a `spread` is the standard deviation of a natural
logarithm. `docs/crossbar-devices.md` has the equations; presets give each number its source.
"""

from dataclasses import dataclass
from itertools import pairwise

from celosia.golden.crossbar.devices.checks import check_above, check_numbers, check_share
from celosia.golden.errors import CelosiaError


@dataclass(frozen=True, kw_only=True)
class Window:
    """Conductances that levels lie in.

    Attributes:
        low_us, high_us: lowest and highest level.
        full_scale_us: what the converter's highest code stands for.
        tolerance_us: half the width of a level's window where levels are equally spaced.
        width_unit_s: one unit of pulse width.
    """

    low_us: float
    high_us: float
    full_scale_us: float
    tolerance_us: float
    width_unit_s: float = 10e-9

    def __post_init__(self) -> None:
        check_numbers(self, "window")
        check_above("window.high_us", self.high_us, self.low_us)
        check_above("window.tolerance_us", self.tolerance_us, 0.0)
        check_above("window.width_unit_s", self.width_unit_s, 0.0)
        if self.full_scale_us < self.high_us:
            raise CelosiaError(
                f"window.full_scale_us must be at least high_us ({self.high_us:g}), "
                f"not {self.full_scale_us!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Windows of the levels of a cell, lowest conductance first, where they are published.

    Attributes:
        low_us, high_us: ends of each window; 2**bits of them.
    """

    low_us: tuple[float, ...]
    high_us: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low_us) != len(self.high_us):
            raise CelosiaError(
                f"levels must have as many low_us as high_us, not {len(self.low_us)} and "
                f"{len(self.high_us)}"
            )
        ends = [end for window in zip(self.low_us, self.high_us, strict=True) for end in window]
        if any(a >= b for a, b in pairwise(ends)):
            raise CelosiaError("levels must be windows that rise and don't overlap")


@dataclass(frozen=True, kw_only=True)
class Forming:
    """How a fresh cell comes to conduct.

    Attributes:
        fresh_us: conductance of a fresh cell.
        mean_v, sigma_v: bit-line voltage from which on a cell forms, normal over cells.
        lowest_v, highest_v: ends of that distribution.
        gate_v: least word-line voltage.
        formed_us, spread: median and spread of the conductance that forming leaves.
        failing: share of cells that never form.
    """

    fresh_us: float = 0.05
    mean_v: float
    sigma_v: float
    lowest_v: float
    highest_v: float
    gate_v: float
    formed_us: float
    spread: float
    failing: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "forming")
        check_share("forming.failing", self.failing)
        check_above("forming.highest_v", self.highest_v, self.lowest_v)
        check_above("forming.formed_us", self.formed_us, self.fresh_us)


@dataclass(frozen=True, kw_only=True)
class SetPulse:
    """The limit that a SET pulse raises a cell to.

    Attributes:
        limit_us: highest limit, that of the access transistor.
        gate_v, gate_scale_v: word-line voltage at which the limit leaves zero, and the scale on
            which it saturates.
        line_v, line_scale_v: the same of the bit line.
        gate_sigma_v: spread of gate_v over cells.
        limit_spread: spread of limit_us over cells.
        pulse_sigma_v, jump_sigma_v: spread of gate_v from pulse to pulse: the first, and the second
            times the share of the limit that the pulse adds. Small steps land where they should,
            a jump from a low conductance doesn't.
    """

    limit_us: float
    gate_v: float
    gate_scale_v: float
    line_v: float
    line_scale_v: float
    gate_sigma_v: float
    limit_spread: float
    pulse_sigma_v: float
    jump_sigma_v: float

    def __post_init__(self) -> None:
        check_numbers(self, "set")
        for name in ("limit_us", "gate_scale_v", "line_scale_v"):
            check_above(f"set.{name}", getattr(self, name), 0.0)


@dataclass(frozen=True, kw_only=True)
class ResetPulse:
    """The limit that a RESET pulse lowers a cell to.

    Attributes:
        floor_us: limit of the strongest pulse.
        reference_us, line_v, line_scale_v: the limit is reference_us above the floor at line_v and
            falls by e for each line_scale_v.
        gate_drop_v: a cell sees no more than the word-line voltage less this.
        line_sigma_v: spread of line_v over cells.
        device_spread: spread of the floor over cells.
        cycle_spread: spread of the floor from cycle to cycle: drawn again after each SET.
        pulse_spread: spread of the limit from pulse to pulse.
    """

    floor_us: float
    reference_us: float
    line_v: float
    line_scale_v: float
    gate_drop_v: float
    line_sigma_v: float
    device_spread: float
    cycle_spread: float
    pulse_spread: float

    def __post_init__(self) -> None:
        check_numbers(self, "reset")
        for name in ("floor_us", "reference_us", "line_scale_v"):
            check_above(f"reset.{name}", getattr(self, name), 0.0)


@dataclass(frozen=True, kw_only=True)
class Direct:
    """What voltages mean under the law `direct`: a convention, not physics.

    Attributes:
        gate_low_v, gate_high_v: SET lands between the window's ends as the word line lies between
            these; never below where the cell is.
        line_low_v, line_high_v: RESET lands between the window's high and low end as the source
            line lies between these; never above where the cell is.
    """

    gate_low_v: float
    gate_high_v: float
    line_low_v: float
    line_high_v: float

    def __post_init__(self) -> None:
        check_numbers(self, "direct")
        check_above("direct.gate_high_v", self.gate_high_v, self.gate_low_v)
        check_above("direct.line_high_v", self.line_high_v, self.line_low_v)


@dataclass(frozen=True, kw_only=True)
class PulseWidth:
    """Voltage against time: a pulse ten times as long acts like one `per_decade_v` higher.

    Attributes:
        reference_s: width at which voltages are given.
        per_decade_v: volts that a decade of width is worth.
    """

    reference_s: float
    per_decade_v: float

    def __post_init__(self) -> None:
        check_numbers(self, "pulse_width")
        check_above("pulse_width.reference_s", self.reference_s, 0.0)
