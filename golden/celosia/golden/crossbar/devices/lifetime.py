"""What time, reads and wear do: groups of numbers, as in `groups`."""

from dataclasses import dataclass

from celosia.golden.crossbar.devices.checks import check_above, check_numbers, check_share
from celosia.golden.crossbar.devices.curves import Curve

RELAXATION_STARTS_S = 1e-6
"""Before this time after a pulse nothing has relaxed: a verifying read comes then (choice)."""


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
