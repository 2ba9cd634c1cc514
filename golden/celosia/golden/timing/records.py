"""When what was counted: the performance counters of a run, and at each mark."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from celosia.golden.memory_map import Counter

_ARRAY = [counter for counter in Counter if counter.name.startswith("MATRIX_")]


@dataclass(frozen=True)
class Profile:
    """Counters of a whole run, and as they stood at each mark."""

    counters: Mapping[Counter, int]
    marks: Sequence[Mapping[Counter, int]]

    def layers(self, count: int) -> Iterator[dict[Counter, int]]:
        """What each of `count` layers spent, as far as marks were kept.

        A layer ends with its mark; the last one takes what is left until the units are idle.
        """
        before: Mapping[Counter, int] = dict.fromkeys(Counter, 0)
        for index, mark in enumerate(self.marks[:count]):
            end = self.counters if index == count - 1 else mark
            yield {counter: end[counter] - before[counter] for counter in Counter}
            before = end


class Records:
    """Spans of cycles by counter; spans of one counter come in order and don't overlap."""

    def __init__(self) -> None:
        self._spans: dict[Counter, list[list[int]]] = {counter: [] for counter in Counter}
        self._marks: list[int] = []

    def spend(self, counter: Counter, first: int, end: int) -> None:
        """Cycles from `first` up to `end` count for a counter, those already counted aside."""
        spans = self._spans[counter]
        if spans and first <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end)
        elif first < end:
            spans.append([first, end])

    def mark(self, cycle: int) -> None:
        """Counters are stored in a cycle, without what happens in it."""
        self._marks.append(cycle)

    def profile(self, cycles: int) -> Profile:
        """The counters of a run of so many cycles."""
        sums = {counter: _Sums(spans) for counter, spans in self._spans.items()}

        def until(cycle: int) -> dict[Counter, int]:
            counts = {counter: spans.until(cycle) for counter, spans in sums.items()}
            counts[Counter.CYCLES] = cycle
            # Each cycle counts for exactly one of MATRIX's: what nothing else explains is idle.
            known = sum(counts[counter] for counter in _ARRAY)
            counts[Counter.MATRIX_IDLE] = cycle - known
            return counts

        return Profile(until(cycles), tuple(until(cycle) for cycle in self._marks))


class _Sums:
    """Cycles of spans before a cycle."""

    def __init__(self, spans: list[list[int]]) -> None:
        self._firsts = [first for first, _ in spans]
        self._ends = [end for _, end in spans]
        self._totals = [0]
        for first, end in spans:
            self._totals.append(self._totals[-1] + end - first)

    def until(self, cycle: int) -> int:
        index = bisect_left(self._firsts, cycle)
        beyond = max(0, self._ends[index - 1] - cycle) if index else 0
        return self._totals[index] - beyond
