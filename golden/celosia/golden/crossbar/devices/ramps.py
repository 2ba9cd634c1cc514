"""How a device is programmed: ramps of pulses in volts, and what may be spent on a cell."""

from dataclasses import dataclass

from celosia.golden.crossbar.devices.checks import check_above, check_numbers
from celosia.golden.errors import CelosiaError


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
