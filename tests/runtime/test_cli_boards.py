"""`celosia boards`."""

import json

from celosia.boards.load import BOARDS, load_board


def test_list_for_people(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = run("boards")
    assert (status, err) == (0, "")
    for name in BOARDS:
        line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
        board = load_board(name)
        assert f"{board.device.name} " in line
        assert f" {board.config.rows} × {board.config.columns}, " in line
        assert len(line) <= 80
    assert "orangecrab-25f: No serial bridge" in out


def test_list_for_scripts(run):
    status, out, _ = run("boards", "--json")
    listed = {entry["board"]: entry for entry in json.loads(out)["boards"]}
    assert (status, tuple(listed)) == (0, BOARDS)
    icebreaker = listed["icebreaker"]
    assert icebreaker["device"] == "iCE40UP5K"
    assert icebreaker["memory_bytes"] == 128 * 1024 + 30 * 512
    assert icebreaker["multipliers"] == {"SB_MAC16": 8}
    assert icebreaker["programmers"][1] == {"method": "flash", "tool": "iceprog", "arguments": []}
