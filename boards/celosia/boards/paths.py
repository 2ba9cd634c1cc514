"""Critical paths in terms of the gateware's modules, from nextpnr's report.

Synthesis flattens the design and names a cell by its place in the hierarchy, with what it drives
and its kind: ``npu.post.reducer.sum_TRELLIS_FF_Q_3`` is a flip-flop of ``npu/post/reducer``. Logic
that synthesis moves across a module's border carries the name of the side that it feeds.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: What nextpnr appends to and prefixes nets with when it gives them a pad or a global line.
_NET_DECORATION = re.compile(r"^\$glbnet\$|\$(?:TRELLIS_IO|SB_IO)_(?:IN|OUT)|_\$glb_clk$")
_EVENT = re.compile(r"(?:posedge|negedge) (?P<net>.+)")
#: Where Yosys and nextpnr start to say what kind of cell a signal's driver is.
_KIND = re.compile(
    r"_(?:TRELLIS_|SB_|ICESTORM_|DFF|LUT\d|MUX\d|ALU|MULT|CCU2C|PFUMX|L6MUX21|DP16KD|DPX?9?B|SDPX?9?B"
    r"|[IO]BUF)|\$"
)
_TOP = "top"


@dataclass(frozen=True)
class PathPart:
    """What one module contributes to a path, in ns; a wire counts for the module it leads to."""

    module: str
    logic_ns: float
    routing_ns: float

    @property
    def ns(self) -> float:
        """Logic and wires together."""
        return self.logic_ns + self.routing_ns


@dataclass(frozen=True)
class CriticalPath:
    """The longest path from registers of one clock to registers of one, maybe another.

    Attributes
    ----------
    from_clock, to_clock : str
        Names of the clocks.
    start, end : str
        Signals of the registers, with their module: ``npu/post/reducer: sum``.
    parts : tuple of PathPart
        What every module on the way contributes, in the order in which the path meets them.
    """

    from_clock: str
    to_clock: str
    start: str
    end: str
    parts: tuple[PathPart, ...]

    @property
    def logic_ns(self) -> float:
        """Delay of the cells, in ns."""
        return sum(part.logic_ns for part in self.parts)

    @property
    def routing_ns(self) -> float:
        """Delay of the wires, in ns."""
        return sum(part.routing_ns for part in self.parts)

    @property
    def ns(self) -> float:
        """Delay of the path."""
        return self.logic_ns + self.routing_ns

    def to_json(self) -> dict[str, Any]:
        """Everything, for `json.dumps`."""
        return {
            "from_clock": self.from_clock,
            "to_clock": self.to_clock,
            "start": self.start,
            "end": self.end,
            "logic_ns": self.logic_ns,
            "routing_ns": self.routing_ns,
            "parts": [asdict(part) for part in self.parts],
        }


def clock_name(net: str) -> str:
    """The gateware's name of the clock that nextpnr calls `net`.

    A clock has one name in all modules that it passes through, and nextpnr picks one of them; what
    counts is the last part.
    """
    return _NET_DECORATION.sub("", net).rpartition(".")[2]


def module_and_signal(cell: str) -> tuple[str, str]:
    """Module and signal of a cell's name: ``a.b.sum_TRELLIS_FF_Q_3`` is ``("a/b", "sum")``.

    Parts of vectors and words of memories belong to their signal: ``a.rows.2_SB_DFF_Q`` is
    ``("a", "rows.2")``.
    """
    if cell.startswith("$"):  # made by the tools, for no module
        return _TOP, cell
    *path, signal = cell.removeprefix("\\").split(".")  # Yosys escapes names like `$62`
    while path and signal[:1].isdigit():
        signal = f"{path.pop()}.{signal}"
    kind = _KIND.search(signal, 1)
    return "/".join(path) or _TOP, signal[: kind.start()] if kind else signal


def read_paths(paths: Iterable[Mapping[str, Any]]) -> tuple[CriticalPath, ...]:
    """The paths between clocks in a report's ``critical_paths``, those inside one clock first.

    Paths from and to pins have no clock to be measured by and are left out.
    """
    found = []
    for path in paths:
        events = _EVENT.fullmatch(path["from"]), _EVENT.fullmatch(path["to"])
        if events[0] is None or events[1] is None:
            continue
        steps = path["path"]
        found.append(
            CriticalPath(
                from_clock=clock_name(events[0]["net"]),
                to_clock=clock_name(events[1]["net"]),
                start=": ".join(module_and_signal(steps[0]["from"]["cell"])),
                end=": ".join(module_and_signal(steps[-1]["to"]["cell"])),
                parts=_parts(steps),
            )
        )
    return tuple(sorted(found, key=lambda path: path.from_clock != path.to_clock))


def _parts(steps: Iterable[Mapping[str, Any]]) -> tuple[PathPart, ...]:
    logic: dict[str, float] = {}
    routing: dict[str, float] = {}
    for step in steps:
        module, _ = module_and_signal(step["to"]["cell"])
        kind = routing if step["type"] == "routing" else logic
        for sums in (logic, routing):
            sums.setdefault(module, 0.0)
        kind[module] += float(step["delay"])
    return tuple(PathPart(module, logic[module], routing[module]) for module in logic)
