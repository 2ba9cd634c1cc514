"""When what was counted: the performance counters of a run, and at each mark."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from celosia.golden.memory_map import Counter

_PRECEDENCE = (
    Counter.MATRIX_BUSY,
    Counter.MATRIX_DEPTHWISE,
    Counter.MATRIX_WEIGHTS,
    Counter.MATRIX_DEPENDENCY,
    Counter.MATRIX_ACCUMULATORS,
    Counter.MATRIX_MEMORY,
)
"""A cycle that several of these claim counts for the first of them."""
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
    """Spans of cycles by counter."""

    def __init__(self) -> None:
        self._spans: dict[Counter, list[list[int]]] = {counter: [] for counter in Counter}
        self._marks: list[int] = []

    def spend(self, counter: Counter, first: int, end: int) -> None:
        """Cycles from `first` up to `end` count for a counter, those already counted aside."""
        spans = self._spans[counter]
        if spans and spans[-1][0] <= first <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end)
        elif first < end:
            spans.append([first, end])

    def mark(self, cycle: int) -> None:
        """Counters are stored in a cycle, without what happens in it."""
        self._marks.append(cycle)

    def profile(self, cycles: int) -> Profile:
        """The counters of a run of so many cycles."""
        spans = {counter: _merged(spans) for counter, spans in self._spans.items()}
        claimed: list[list[int]] = []
        for counter in _PRECEDENCE:
            spans[counter] = _without(spans[counter], claimed)
            claimed = _merged([*claimed, *spans[counter]])
        sums = {counter: _Sums(own) for counter, own in spans.items()}

        def until(cycle: int) -> dict[Counter, int]:
            counts = {counter: spans.until(cycle) for counter, spans in sums.items()}
            counts[Counter.CYCLES] = cycle
            # Each cycle counts for exactly one of MATRIX's: what nothing else explains is idle.
            known = sum(counts[counter] for counter in _ARRAY)
            counts[Counter.MATRIX_IDLE] = cycle - known
            return counts

        return Profile(until(cycles), tuple(until(cycle) for cycle in self._marks))


def _merged(spans: Iterable[list[int]]) -> list[list[int]]:
    """The union of spans, in order and apart from each other."""
    merged: list[list[int]] = []
    for first, end in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([first, end])
    return merged


def _without(spans: Sequence[list[int]], others: Sequence[list[int]]) -> list[list[int]]:
    """What is left of spans without others; both in order and apart from each other."""
    left = []
    index = 0
    for first, end in spans:
        while index < len(others) and others[index][1] <= first:
            index += 1
        following = index
        while following < len(others) and others[following][0] < end:
            if first < others[following][0]:
                left.append([first, others[following][0]])
            first = max(first, others[following][1])
            following += 1
        if first < end:
            left.append([first, end])
    return left


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
