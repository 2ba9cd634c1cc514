"""The groups of numbers that describe a device; each is a table of a device's TOML file.

Conductances are in uS, voltages in V, times in s; a `spread` is the standard deviation of a natural
logarithm. `docs/crossbar-devices.md` has the equations; presets give each number its source.
"""

import math
from dataclasses import dataclass, fields
from itertools import pairwise

from celosia.golden.crossbar.devices.curves import Curve
from celosia.golden.errors import CelosiaError

RELAXATION_STARTS_S = 1e-6
"""Before this time after a pulse nothing has relaxed: a verifying read comes then (choice)."""


def check_numbers(table: object, name: str) -> None:
    """Every number of a group must be finite, and at least zero where nothing else is said."""
    for entry in fields(table):  # type: ignore[arg-type]
        value = getattr(table, entry.name)
        if entry.type is not float and entry.type is not int:
            continue
        wanted = "an integer" if entry.type is int else "a number"
        number = isinstance(value, (int, float) if entry.type is float else int)
        if not number or isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise CelosiaError(f"{name}.{entry.name} must be {wanted} from 0 up, not {value!r}")


def check_above(name: str, value: float, low: float) -> None:
    if not value > low:
        raise CelosiaError(f"{name} must be above {low:g}, not {value!r}")


def check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise CelosiaError(f"{name} must be from 0 to 1, not {value!r}")


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


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """Spread that a programmed conductance takes on by some time after its last pulse.

    Attributes:
        seconds: that time.
        sigma: standard deviation against the conductance that was programmed.
    """

    seconds: float
    sigma: Curve

    def __post_init__(self) -> None:
        check_numbers(self, "relaxation")
        check_above("relaxation.seconds", self.seconds, RELAXATION_STARTS_S)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Structural relaxation: G(t) = G0 (t / start_s)^-nu from start_s on.

    With x = G0 / high_us, a cell's nu is normal with mean `mean` - `mean_fall` ln x and standard
    deviation -`sigma_below` - `sigma_fall` ln x, each kept between its lowest and highest.
    """

    start_s: float
    mean: float
    mean_fall: float
    mean_lowest: float
    mean_highest: float
    sigma_below: float
    sigma_fall: float
    sigma_lowest: float
    sigma_highest: float

    def __post_init__(self) -> None:
        check_numbers(self, "drift")
        check_above("drift.start_s", self.start_s, 0.0)


@dataclass(frozen=True, kw_only=True)
class Flicker:
    """1/f noise of reads: sigma / G = q sqrt(ln((t + read_s) / (2 read_s))), t since programming.

    q = min(highest, scale / x**exponent), x = G / high_us.
    """

    scale: float
    exponent: float
    highest: float
    read_s: float

    def __post_init__(self) -> None:
        check_numbers(self, "flicker")
        check_above("flicker.read_s", self.read_s, 0.0)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Shares of cells that are stuck.

    Attributes:
        stuck_low: at the lowest conductance, once they have been RESET.
        stuck_high: at the highest one, once they are formed.
    """

    stuck_low: float = 0.0
    stuck_high: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "faults")
        check_share("faults.stuck_low + faults.stuck_high", self.stuck_low + self.stuck_high)


@dataclass(frozen=True, kw_only=True)
class Endurance:
    """What cycles (RESETs after a SET) do to a cell.

    Attributes:
        cycles, spread: median and spread of the life of a cell; it then is stuck at high_us.
        closing: the floor of RESET rises with cycles to this power.
    """

    cycles: float
    spread: float
    closing: float

    def __post_init__(self) -> None:
        check_numbers(self, "endurance")
        check_above("endurance.cycles", self.cycles, 0.0)


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """Pulses that get stronger: start, stop and step of two voltages; a step of 0 holds one.

    Attributes:
        gate_v: of the word line.
        line_v: of the bit line (SET, FORM) or the source line (RESET).
        width_s: of each pulse.
        line_first: the line rises at each pulse, the word line when the line is at its stop (and
            the line starts again); else the other way round.
    """

    gate_v: tuple[float, ...]
    line_v: tuple[float, ...]
    width_s: float
    line_first: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, "ramp")
        check_above("ramp.width_s", self.width_s, 0.0)
        if not isinstance(self.line_first, bool):
            raise CelosiaError(f"ramp.line_first must be true or false, not {self.line_first!r}")
        for name in ("gate_v", "line_v"):
            volts = getattr(self, name)
            if len(volts) != 3 or min(volts) < 0 or volts[1] < volts[0]:
                raise CelosiaError(
                    f"ramp.{name} must be a start, a stop from there up and a step, "
                    f"not {list(volts)!r}"
                )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a scheme of PROGRAM is set up for a device.

    Attributes:
        set, reset: ramps of the scheme STEP, or the coarse ones of COARSE_FINE.
        set_fine, reset_fine: the fine ones of COARSE_FINE.
        near_us: COARSE_FINE takes the fine ramps within this distance of a window.
        maximum_pulses, maximum_flips: pulses and changes of direction that a cell may take.
        end_pulses: pulses that the end of a ramp is repeated for.
        confirms: reads that must confirm that a cell is in its window.
        read_shift: each read is the mean of 2**read_shift conversions.
    """

    set: Ramp
    reset: Ramp
    set_fine: Ramp | None = None
    reset_fine: Ramp | None = None
    near_us: float = 0.0
    maximum_pulses: int
    maximum_flips: int
    end_pulses: int
    confirms: int = 0
    read_shift: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, "recipe")
        if (self.set_fine is None) != (self.reset_fine is None):
            raise CelosiaError("recipe must have both of set_fine and reset_fine, or none")
