"""What a build came to: clocks, resources and critical paths, from nextpnr's report and log.

The report is the JSON that nextpnr writes for ``--report``; its structure is described in nextpnr's
own source, common/kernel/report.cc. All figures are those after routing.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from celosia.boards.networks import NetworkPath
from celosia.boards.paths import CriticalPath, clock_name, read_paths
from celosia.golden.errors import CelosiaError

#: nextpnr prints clocks after placing, from estimates, and again after routing.
_ROUTING = re.compile(r"^Info: Routing\.\.", re.M)
_FREQUENCY = re.compile(
    r"Max frequency for clock +'(?P<net>[^']+)': +(?P<fmax>[\d.]+) MHz "
    r"\((?:PASS|FAIL) at (?P<constraint>[\d.]+) MHz\)"
)
_IGNORED = re.compile(r"net '(?P<net>[^']+)' does not exist in design, ignoring clock constraint")
#: The log rounds to this many MHz.
_ROUNDING_MHZ = 0.0051
#: Constraints pass through periods of whole picoseconds.
_SAME_CONSTRAINT = 2e-3

#: Elements of a Gowin FPGA whose delays nextpnr 0.11.1 doesn't know; only they bear these names.
_UNTIMED = {
    "multipliers": re.compile(r"MULT(ADD)?(ALU)?\d+X\d+|PADD\d*|ALU54D"),
    "block RAMs": re.compile("BSRAM"),
}


@dataclass(frozen=True)
class ClockTiming:
    """What a clock may run at, and what was asked for; both in MHz."""

    fmax_mhz: float
    constraint_mhz: float

    @property
    def met(self) -> bool:
        """Whether the clock may run at what was asked for."""
        return self.fmax_mhz >= self.constraint_mhz


@dataclass(frozen=True)
class Crossing:
    """The longest path from registers of one clock to those of another.

    nextpnr takes clocks for unrelated and asks nothing of such paths. But all clocks of a build
    come from one PLL, in phase, and the faster one's frequency is a multiple of the slower one's:
    from an edge of one to the next of the other it is at least the faster one's period.

    Attributes
    ----------
    from_clock, to_clock : str
        Names of the clocks.
    ns : float
        Delay of the path.
    limit_ns : float
        Time that there is for it.
    """

    from_clock: str
    to_clock: str
    ns: float
    limit_ns: float

    @property
    def met(self) -> bool:
        """Whether the path has the time that it takes."""
        return self.ns <= self.limit_ns


@dataclass(frozen=True)
class Resource:
    """How many of one of the FPGA's elements the design uses, of how many there are."""

    used: int
    available: int

    @property
    def left(self) -> int:
        """How many are free."""
        return self.available - self.used


@dataclass(frozen=True)
class BuildReport:
    """A placed and routed design.

    Attributes
    ----------
    clocks : mapping of str to ClockTiming
        By the name that the gateware gives the clock's signal.
    utilisation : mapping of str to Resource
        By nextpnr's name of the element, such as ``TRELLIS_COMB``.
    critical_paths : tuple of CriticalPath
        The longest path of each pair of clocks; first those inside one clock.
    untimed : tuple of str
        Kinds of elements in the design from which nextpnr follows no path since it doesn't know
        their delay, which is so for a Gowin FPGA's ``multipliers`` and ``block RAMs``: every
        `fmax_mhz` is an upper bound where there are any.
    networks : tuple of NetworkPath
        What nextpnr doesn't time whole; all of it has the NPU's clock.
    """

    clocks: Mapping[str, ClockTiming]
    utilisation: Mapping[str, Resource]
    critical_paths: tuple[CriticalPath, ...]
    untimed: tuple[str, ...]
    networks: tuple[NetworkPath, ...] = ()

    @property
    def met(self) -> bool:
        """Whether all clocks may run at what was asked for, as far as nextpnr knows, and all paths
        between them and over clock networks have the time that they take."""
        return (
            all(clock.met for clock in self.clocks.values())
            and all(crossing.met for crossing in self.crossings)
            and all(self.in_time(path) for path in self.networks)
        )

    def in_time(self, path: NetworkPath) -> bool:
        """Whether a path over a clock network has the time that it takes."""
        return path.ns <= self.period_ns

    @property
    def period_ns(self) -> float:
        """Time between two edges of the NPU's clock, as asked for."""
        return 1e3 / min(clock.constraint_mhz for clock in self.clocks.values())

    @property
    def crossings(self) -> tuple[Crossing, ...]:
        """The longest path of each pair of different clocks."""
        return tuple(
            Crossing(
                path.from_clock,
                path.to_clock,
                path.ns,
                min(1e3 / self.clocks[name].constraint_mhz for name in ends),
            )
            for path in self.critical_paths
            if path.from_clock != path.to_clock
            and (ends := {path.from_clock, path.to_clock}) <= self.clocks.keys()
        )

    @property
    def npu_clock(self) -> ClockTiming:
        """The NPU's clock, and what it may run at with all that goes with it: its memories may have
        a second one, of twice its frequency."""
        asked = min(clock.constraint_mhz for clock in self.clocks.values())
        speeds = [clock.fmax_mhz * (asked / clock.constraint_mhz) for clock in self.clocks.values()]
        speeds += [asked * (crossing.limit_ns / crossing.ns) for crossing in self.crossings]
        speeds += [1e3 / path.ns for path in self.networks]
        return ClockTiming(min(speeds), asked)

    def to_json(self) -> dict[str, Any]:
        """Everything, for `json.dumps`; times in ns, frequencies in MHz."""
        return {
            "met": self.met,
            "clocks": {
                name: {"fmax_mhz": clock.fmax_mhz, "constraint_mhz": clock.constraint_mhz}
                for name, clock in self.clocks.items()
            },
            "crossings": [asdict(crossing) for crossing in self.crossings],
            "networks": [{"signal": path.signal, "ns": path.ns} for path in self.networks],
            "utilisation": {
                name: {"used": resource.used, "available": resource.available}
                for name, resource in self.utilisation.items()
            },
            "critical_paths": [path.to_json() for path in self.critical_paths],
            "untimed": list(self.untimed),
        }


def read_report(
    report: Path,
    log: str,
    constraints: Mapping[str, float] | None,
    networks: tuple[NetworkPath, ...] = (),
) -> BuildReport:
    """Read what nextpnr reports of a design that it routed, and check that it is what was asked.

    Parameters
    ----------
    report : Path
        The file of ``--report``.
    log : str
        The log of the same run.
    constraints : mapping of str to float or None
        Every clock of the design that drives registers, and the MHz asked of it. A clock is named
        as its signal is in the gateware: nextpnr's additions and the path of modules don't count.
        None for a build that was checked when it was made, whose board may ask for others by now.
    networks : tuple of NetworkPath
        The design's paths over clock networks.

    Raises
    ------
    CelosiaError
        If the report can't be read or isn't of this log's routed design, if a clock has no
        constraint, or if a constraint didn't reach nextpnr.
    """
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        fmax = {str(net): _timing(entry) for net, entry in content["fmax"].items()}
        utilisation = {
            str(name): Resource(int(entry["used"]), int(entry["available"]))
            for name, entry in content["utilization"].items()
        }
        paths = read_paths(content["critical_paths"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CelosiaError(
            f"{report.name} must be a report of nextpnr (--report), which this can't be read as: "
            f"{type(error).__name__}: {error}"
        ) from error
    _check_routed(report.name, fmax, log)
    clocks = _named(fmax)
    if constraints is not None:
        _check_constraints(clocks, constraints, log)
    return BuildReport(
        clocks=clocks,
        utilisation=utilisation,
        critical_paths=paths,
        untimed=tuple(
            kind
            for kind, names in _UNTIMED.items()
            if any(names.fullmatch(name) and used.used for name, used in utilisation.items())
        ),
        networks=networks,
    )


def _timing(entry: Mapping[str, float]) -> ClockTiming:
    timing = ClockTiming(float(entry["achieved"]), float(entry["constraint"]))
    if not (math.isfinite(timing.constraint_mhz) and timing.fmax_mhz > 0):
        raise ValueError(f"{timing} is no frequency")
    return timing


def _check_routed(name: str, fmax: Mapping[str, ClockTiming], log: str) -> None:
    """The log's figures after routing are those of the report."""
    routing = list(_ROUTING.finditer(log))
    printed = {
        match["net"]: (float(match["fmax"]), float(match["constraint"]))
        for match in (_FREQUENCY.finditer(log, routing[-1].end()) if routing else ())
    }
    same = printed.keys() == fmax.keys() and all(
        abs(printed[net][0] - timing.fmax_mhz) < _ROUNDING_MHZ
        and abs(printed[net][1] - timing.constraint_mhz) < _ROUNDING_MHZ
        for net, timing in fmax.items()
    )
    if not same:
        raise CelosiaError(
            f"{name} must be the report of the routed design in the log, but their clocks differ; "
            "build again in an empty folder"
        )


def _named(fmax: Mapping[str, ClockTiming]) -> dict[str, ClockTiming]:
    clocks: dict[str, ClockTiming] = {}
    for net, timing in fmax.items():
        name = clock_name(net)
        if name in clocks:
            raise CelosiaError(f"clocks must have names of their own, but two are called {name!r}")
        clocks[name] = timing
    return clocks


def _check_constraints(
    clocks: Mapping[str, ClockTiming], constraints: Mapping[str, float], log: str
) -> None:
    ignored = _IGNORED.search(log)
    if ignored is not None:
        raise CelosiaError(
            f"a constraint must name a clock of the design, but nextpnr ignored that of "
            f"{ignored['net']!r}"
        )
    if not clocks:
        raise CelosiaError(
            "a design must have paths between its registers, but nextpnr found none and so gives "
            "no frequency"
        )
    for name, timing in clocks.items():
        if name not in constraints:
            raise CelosiaError(
                f"every clock must have a constraint, but {name!r} has none: nextpnr assumed "
                f"{timing.constraint_mhz:g} MHz"
            )
    for name, mhz in constraints.items():
        if name not in clocks:
            raise CelosiaError(
                f"a constraint must name a clock that drives registers, but nextpnr knows no "
                f"{name!r}; it has {', '.join(map(repr, clocks))}"
            )
        reached = clocks[name].constraint_mhz
        if abs(reached - mhz) > _SAME_CONSTRAINT * mhz:
            raise CelosiaError(
                f"the constraint of {name!r} must reach nextpnr as {mhz:g} MHz, but nextpnr used "
                f"{reached:g} MHz"
            )
