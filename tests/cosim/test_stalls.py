"""Stall patterns stall as often and as long as they say."""

import itertools
import random

import pytest

from celosia.sim.stalls import Stall

CYCLES = 100_000


@pytest.mark.parametrize("stall", list(Stall))
def test_share_of_stalls(stall):
    probability, longest = stall.value
    cycles = itertools.islice(stall.cycles(random.Random(5)), CYCLES)
    stalled = sum(cycles) / CYCLES
    expected = probability * (1 + longest) / 2
    assert stalled == pytest.approx(expected / (expected + 1 - probability), rel=0.05)


def test_seeded():
    def first(seed):
        return list(itertools.islice(Stall.BURSTS.cycles(random.Random(seed)), 100))

    assert first(1) == first(1)
    assert first(1) != first(2)
