"""How far a tool is, from what it prints while it runs.

A reader takes what was printed since it was last asked, and gives what there is to tell people.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

_PREPARING = "Preparing to run"
"""What a YoWASP tool prints before it compiles itself."""

_PLACING = re.compile(r"^Info: Creating initial analytic placement for (\d+) cells", re.M)
_ROUTING = re.compile(r"^Info: Routing (\d+) arcs\.", re.M)
#: Arcs routed so far, with and without others torn out, of them lately; arcs to go; seconds.
_ROW = re.compile(r"^Info: +\d+ \|(?: +\d+ +\d+ \|){2} +(\d+)\|", re.M)
_STUCK_ROWS = 50
"""A row comes after each 1,000 arcs. Builds that ended went 4 without fewer to go, at most."""


class ProgressReader(Protocol):
    """Makes sentences of what a tool prints."""

    def __call__(self, more: str) -> Iterable[str]:
        """What there is to tell now that `more` was printed, which may end within a line."""


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
    """

    def __init__(self) -> None:
        self._broken_line = ""
        self._arcs = 0
        self._least = 0
        self._tenths = 0
        self._vain_rows = 0

    def __call__(self, more: str) -> Iterator[str]:
        lines, end, self._broken_line = (self._broken_line + more).rpartition("\n")
        yield from self._read(lines + end)

    def _read(self, more: str) -> Iterator[str]:
        for placing in _PLACING.finditer(more):
            yield f"placing {int(placing[1]):,} cells"
        for routing in _ROUTING.finditer(more):
            self._arcs = self._least = int(routing[1])
            yield f"routing {self._arcs:,} connections"
        tenths = self._tenths
        for row in _ROW.finditer(more):
            left = int(row[1])
            self._vain_rows = 0 if left < self._least else self._vain_rows + 1
            self._least = min(left, self._least)
            if self._vain_rows == _STUCK_ROWS:
                yield (
                    f"routing has come no further than {self._least:,} connections to go for long, "
                    "and may never end: try another --seed, or a lower frequency_mhz in a file of "
                    "your own for the board"
                )
        if self._arcs:
            self._tenths = 10 * (self._arcs - self._least) // self._arcs
        if self._tenths > tenths:
            yield f"routed {10 * self._tenths} % of the connections"
