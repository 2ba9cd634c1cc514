"""The measuring script of `scripts/`, with a small core in place of the NPU and real tools."""

import importlib.util
import re
from pathlib import Path

import pytest
from support.echo_core import EchoCore

from celosia.boards.load import load_board
from celosia.boards.plan import plan_build
from celosia.boards.tools import find_tool
from celosia.golden.errors import CelosiaError
from celosia.runtime import board_build

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_fit.py"
BOARD = "icebreaker"


@pytest.fixture
def measure(tmp_path, monkeypatch, capsys):
    """Runs the script with arguments; what it prints, or ends with."""
    for stage in plan_build(load_board(BOARD), EchoCore).stages:
        try:
            find_tool(stage.tool)
        except CelosiaError as error:
            pytest.skip(str(error))
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path))
    monkeypatch.setattr(
        board_build,
        "plan_npu",
        lambda board, config, digest, seed, emit: plan_build(board, EchoCore, seed),
    )
    spec = importlib.util.spec_from_file_location("measure_fit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", [SCRIPT.name, *arguments])
        script.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_seeds_and_cells(measure):
    *seeds, _, _, row = measure(BOARD, "--seeds", "2", "3")
    assert [line.split(":")[0] for line in seeds] == ["seed 2", "seed 3"]
    reached = sorted(float(re.match(r"seed \d: ([\d.]+) MHz", line)[1]) for line in seeds)
    board, npu, cells, *_, median, best = (part.strip() for part in row.strip("|").split("|"))
    assert (board, npu) == ("`icebreaker`", "`npu4x4-icebreaker`")
    assert float(median) == pytest.approx(sum(reached) / 2, abs=0.1)
    assert float(best) == reached[-1]
    placed, there = (int(count.replace(",", "")) for count in cells.split(" of "))
    assert there == 5280

    head, _, *modules = measure(BOARD, "--area")
    assert head == "| module | LUT | LUT RAM | FF | BRAM | DSP |"
    luts = {line.split("|")[1].strip(): int(line.split("|")[2]) for line in modules}
    assert 0 < luts["all"] <= placed
    assert all(count >= 50 for count in luts.values())


def test_what_is_wrong_is_said(measure):
    with pytest.raises(SystemExit, match=r"^board must be one of colorlight-i5, "):
        measure("ulx4")
    with pytest.raises(SystemExit, match=r"^configuration must be one of npu4x4, "):
        measure(BOARD, "--config", "npu9")
