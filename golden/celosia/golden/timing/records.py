"""When what was counted: the performance counters of a run, and at each mark."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from celosia.golden.memory_map import Counter

_REASONS = (
    Counter.MATRIX_BUSY,
    Counter.MATRIX_DEPTHWISE,
    Counter.MATRIX_CROSSBAR,
    Counter.MATRIX_WEIGHTS,
    Counter.MATRIX_DEPENDENCY,
    Counter.MATRIX_ACCUMULATORS,
    Counter.MATRIX_MEMORY,
)
"""What a cycle of the array counts for: the first that holds, or MATRIX_IDLE."""


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


Span = tuple[int, int]
"""Cycles from the first up to the second."""


class Records:
    """Spans of cycles by counter."""

    def __init__(self) -> None:
        self._spans: dict[Counter, list[Span]] = {counter: [] for counter in Counter}
        self._marks: list[int] = []

    def spend(self, counter: Counter, first: int, end: int) -> None:
        """Cycles from `first` up to `end` count for a counter, each once."""
        if first < end:
            spans = self._spans[counter]
            if spans and spans[-1][1] == first:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((first, end))

    def mark(self, cycle: int) -> None:
        """Counters are stored in a cycle, without what happens in it."""
        self._marks.append(cycle)

    def profile(self, cycles: int) -> Profile:
        """The counters of a run of so many cycles."""
        spans = {counter: _merged(spent) for counter, spent in self._spans.items()}
        explained: list[Span] = []
        for reason in _REASONS:
            explained, spans[reason] = (
                _merged(explained + spans[reason]),
                _without(spans[reason], explained),
            )
        sums = {counter: _Sums(spent) for counter, spent in spans.items()}
        known = _Sums(explained)

        def until(cycle: int) -> dict[Counter, int]:
            counts = {counter: spent.until(cycle) for counter, spent in sums.items()}
            counts[Counter.CYCLES] = cycle
            counts[Counter.MATRIX_IDLE] = cycle - known.until(cycle)
            return counts

        return Profile(until(cycles), tuple(until(cycle) for cycle in self._marks))


def _merged(spans: list[Span]) -> list[Span]:
    """The same cycles in spans that come in order and don't meet."""
    merged: list[Span] = []
    for first, end in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((first, end))
    return merged


def _without(spans: list[Span], others: list[Span]) -> list[Span]:
    """What is left of spans, both in order, where others aren't."""
    left = []
    index = 0
    for first, end in spans:
        while index < len(others) and others[index][1] <= first:
            index += 1
        at = index
        while at < len(others) and others[at][0] < end:
            if first < others[at][0]:
                left.append((first, others[at][0]))
            first = max(first, others[at][1])
            at += 1
        if first < end:
            left.append((first, end))
    return left


class _Sums:
    """Cycles of spans before a cycle."""

    def __init__(self, spans: list[Span]) -> None:
        self._firsts = [first for first, _ in spans]
        self._ends = [end for _, end in spans]
        self._totals = [0]
        for first, end in spans:
            self._totals.append(self._totals[-1] + end - first)

    def until(self, cycle: int) -> int:
        index = bisect_left(self._firsts, cycle)
        beyond = max(0, self._ends[index - 1] - cycle) if index else 0
        return self._totals[index] - beyond
