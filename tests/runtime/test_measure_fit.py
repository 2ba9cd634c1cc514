"""The measuring script of `scripts/`, with a small core in place of the NPU and real tools."""

import re

import pytest
from support.routed_designs import skip_without
from support.scripts import load_script

BOARD = "icebreaker"


@pytest.fixture
def measure(cache, echo, monkeypatch, capsys):
    """Runs the script with arguments; what it prints, or ends with."""
    skip_without("ice40")
    script = load_script("measure_fit")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["measure_fit.py", *arguments])
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
