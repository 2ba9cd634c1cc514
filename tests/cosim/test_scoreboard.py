"""The scoreboard says what differs first."""

import pytest

from celosia.sim.scoreboard import Scoreboard


def test_equal():
    board = Scoreboard("o", [1, 2])
    board.observe(1)
    board.observe(2)


def test_different():
    board = Scoreboard("o", [16, 17, 18])
    board.observe(16)
    with pytest.raises(AssertionError, match=r"^o: beat 1 of 3 is 0x12, expected 0x11$"):
        board.observe(18)


def test_decoded():
    board = Scoreboard("o", [1], lambda beat: {"last": beat})
    with pytest.raises(AssertionError, match=r"is \{'last': 0\}, expected \{'last': 1\}$"):
        board.observe(0)


def test_too_many():
    with pytest.raises(AssertionError, match=r"^o: got 0x7 after all 0 beats expected$"):
        Scoreboard("o", []).observe(7)
