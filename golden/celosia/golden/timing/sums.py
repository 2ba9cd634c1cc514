"""The accumulators' time: the sums of jobs in order, from whichever engine they come."""

from dataclasses import dataclass

from celosia.golden.timing.clockwork import Clock, Condition

UPDATE_CYCLES = 4
"""From taking a sum until the accumulators hold it (`celosia.hdl.npu.accumulators`)."""


@dataclass(frozen=True)
class Standstill:
    """An engine stands still from cycle `first` up to `end`, which may be the same."""

    first: int
    end: int

    def begin(self, cycle: int) -> int:
        """When what would begin in a cycle begins."""
        return self.end if self.first <= cycle < self.end else cycle

    def over(self, begin: int, over: int) -> int:
        """When what has begun and would be over before a cycle is over."""
        return over + self.end - self.first if begin < self.first < over else over

    def around(self, begin: int, over: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The parts of a span, its standstill included, before and after that."""
        return (begin, min(over, max(begin, self.first))), (max(begin, min(over, self.end)), over)


class Sums:
    """When the accumulators take sums."""

    def __init__(self, clock: Clock) -> None:
        self._pending = 0
        self.free = 0
        """First cycle in which a sum of the next job is taken, as far as jobs are known."""
        self.settled = Condition(clock)

    @property
    def known(self) -> bool:
        """Whether all jobs so far are."""
        return not self._pending

    def expect(self) -> None:
        """A job whose end isn't known yet comes before those after it."""
        self._pending += 1

    def finish(self, last: int) -> int:
        """As `take`, for a job that was expected."""
        self._pending -= 1
        self.settled.notify()
        return self.take(last)

    def take(self, last: int) -> int:
        """A job's last sum is taken in a cycle; returns the one from which its signal counts."""
        self.free = last + 1
        return last + UPDATE_CYCLES + 1

    def standstill(self, offered: int) -> Standstill:
        """Of the engine that offers the first sum of the next job."""
        return Standstill(offered, max(offered, self.free))
