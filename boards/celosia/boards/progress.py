"""How far a tool is, from what it prints while it runs.

A reader takes what was printed since it was last asked, which it is again and again while the tool
runs, and gives what there is to tell people.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator

_PREPARING = "Preparing to run"
"""What a YoWASP tool prints before it compiles itself."""

_PLACING = re.compile(r"^Info: Creating initial analytic placement for (\d+) cells", re.M)
_ROUTING = re.compile(r"^Info: Routing (\d+) arcs\.", re.M)
#: After each 1,000 arcs: how many so far; of them with and without others torn out, in all and
#: lately; how many to go.
_ROW = re.compile(r"^Info: +\d+ \|(?: +\d+ +\d+ \|){2} +(\d+)\|", re.M)
_STUCK_S = 300.0
"""Without fewer to go. Builds that ended went 46 s so, at most, beside others on busy cores; one
that didn't had 117 to go, and 132 when three minutes later the next row came."""

ProgressReader = Callable[[str], Iterable[str]]
"""From what was printed since the last call, which may end within a line, to sentences."""


class FirstRun:
    """Tells that a YoWASP tool compiles itself.

    Parameters
    ----------
    name : str
        The tool's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._printed = ""

    def __call__(self, more: str) -> Iterator[str]:
        before, self._printed = self._printed, self._printed + more
        if _PREPARING in self._printed and _PREPARING not in before:
            yield f"{self._name} runs for the first time and is compiled, which can take minutes"


class PlaceAndRoute:
    """Tells of nextpnr's log (its ``router1``) each tenth of the connections that is routed, and
    when nothing comes of routing any more.

    Parameters
    ----------
    clock : callable
        Seconds, of any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._broken_line = ""
        self._arcs = 0
        self._least = 0
        self._least_since = 0.0

    def __call__(self, more: str) -> Iterator[str]:
        lines, end, self._broken_line = (self._broken_line + more).rpartition("\n")
        yield from self._read(lines + end)
        if self._least and self._clock() - self._least_since >= _STUCK_S:
            self._least_since = math.inf  # once is enough
            yield (
                f"routing has come no further than {self._least:,} connections to go for "
                f"{_STUCK_S / 60:.0f} minutes, and may never end: another --seed helps, or another "
                "frequency_mhz in a file of your own for the board"
            )

    def _read(self, more: str) -> Iterator[str]:
        before = self._tenths()
        for placing in _PLACING.finditer(more):
            yield f"placing {int(placing[1]):,} cells"
        for routing in _ROUTING.finditer(more):
            self._arcs = self._least = int(routing[1])
            self._least_since = self._clock()
            yield f"routing {self._arcs:,} connections"
        for row in _ROW.finditer(more):
            if int(row[1]) < self._least:
                self._least, self._least_since = int(row[1]), self._clock()
        if self._tenths() > before:
            yield f"routed {10 * self._tenths()} % of the connections"

    def _tenths(self) -> int:
        return 10 * (self._arcs - self._least) // self._arcs if self._arcs else 0
