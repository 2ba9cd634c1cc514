"""What the units' models run on: time that moves in jumps, and what one unit tells another.

A unit is a generator. It yields a cycle to be resumed in it, or a `Condition` to be resumed once
another unit has told it something. Everything that units tell each other carries the cycle in
which it holds, which may lie ahead, so that a unit need not be resumed in every cycle that matters.
"""

import heapq
from collections.abc import Generator, Iterable, Sequence
from itertools import count

from celosia.golden.errors import CelosiaError

Process = Generator["int | Condition", None, None]
"""A unit at work."""


class Condition:
    """Something that units wait for; whoever waits for `work` has nothing to do."""

    def __init__(self, clock: "Clock", *, work: bool = False) -> None:
        self._clock = clock
        self._waiting: list[Process] = []
        if not work:
            clock.conditions.append(self)

    @property
    def awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def notify(self) -> None:
        """Resume all that wait."""
        for process in self._waiting:
            self._clock.resume(process, self._clock.now)
        self._waiting.clear()

    def wait(self, process: Process) -> None:
        """Have the process resumed at the next `notify`."""
        self._waiting.append(process)


class Clock:
    """Resumes each process in its cycle, the earliest first."""

    def __init__(self) -> None:
        self.now = 0
        self.conditions: list[Condition] = []
        """Those that are no mere lack of work."""
        self._numbers = count()
        self._agenda: list[tuple[int, int, Process]] = []

    def resume(self, process: Process, cycle: int) -> None:
        """Have a process resumed in a cycle, or now if that is over."""
        heapq.heappush(self._agenda, (max(cycle, self.now), next(self._numbers), process))

    def run(self, processes: Iterable[Process]) -> None:
        """Run until nobody can go on.

        Raises:
            CelosiaError: somebody has work, but waits for what never comes.
        """
        for process in processes:
            self.resume(process, 0)
        while self._agenda:
            self.now, _, process = heapq.heappop(self._agenda)
            for wish in process:
                if isinstance(wish, Condition):
                    wish.wait(process)
                    break
                if wish > self.now:
                    self.resume(process, wish)
                    break
        if any(condition.awaited for condition in self.conditions):
            raise CelosiaError("a unit must not wait for what never comes")


class Claims:
    """Cycles in which a client asks for a memory's read port, and gets it unless others go first.

    Spans (first cycle, end), by the order in which they begin.
    """

    def __init__(self) -> None:
        self.spans: list[list[int]] = []

    def add(self, first: int, end: int) -> list[int]:
        """Ask for the port from cycle `first` up to `end`; returns the span, which may grow."""
        span = [first, end]
        self.spans.append(span)
        return span


class PortShare:
    """What is left of a port to a client that comes after others; `own` tells those after it."""

    def __init__(self, before: Sequence[Claims], own: Claims | None = None) -> None:
        self._before = [_Reader(claims) for claims in before]
        self._own = own

    def grants(self, first: int, cycles: int) -> Generator["int | Condition", None, int]:
        """Wait for `cycles` free cycles from `first` on; returns the one after the last."""
        end = first + cycles
        span = self._own.add(first, end) if self._own else None
        missing = cycles
        while missing:
            yield end
            missing = self.taken(end - missing, end)
            end += missing
            if span:
                span[1] = end
        return end

    def taken(self, first: int, end: int) -> int:
        """Cycles from `first` up to `end` in which another client has the port."""
        spans = [span for reader in self._before for span in reader.between(first, end)]
        spans.sort()
        taken = 0
        for begin, over in spans:
            begin, over = max(begin, first), min(over, end)
            if begin < over:
                taken += over - begin
                first = over
        return taken


class _Reader:
    """Reads claims in the order of time."""

    def __init__(self, claims: Claims) -> None:
        self._spans = claims.spans
        self._next = 0

    def between(self, first: int, end: int) -> list[list[int]]:
        """Spans that meet the cycles from `first` up to `end`; `first` never goes back."""
        spans = self._spans
        while self._next < len(spans) and spans[self._next][1] <= first:
            self._next += 1
        index = self._next
        while index < len(spans) and spans[index][0] < end:
            index += 1
        return spans[self._next : index]
