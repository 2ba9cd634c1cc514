"""The boards that the documentation describes are boards."""

import re
from pathlib import Path

import pytest

from celosia.boards.load import load_board

PAGE = Path(__file__).parents[2] / "docs" / "boards.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S)


@pytest.mark.parametrize("text", EXAMPLES, ids=["on another", "whole"])
def test_examples_are_boards(text, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    board = load_board(path)
    assert board.title in text
    assert board.leds
