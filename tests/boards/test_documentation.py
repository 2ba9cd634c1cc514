# amaranth: UnusedElaboratable=no
"""The boards that the documentation describes are boards."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from celosia.boards.load import load_board
from celosia.boards.plan import plan_npu
from celosia.boards.tools import find_tool
from celosia.golden.config import load_config
from celosia.golden.errors import CelosiaError

PAGE = Path(__file__).parents[2] / "docs" / "boards.md"
EXAMPLES = dict(
    zip(
        ("on another", "whole", "crossbar"),
        re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S),
        strict=True,
    )
)


@pytest.fixture
def example(tmp_path):
    """The board of an example."""

    def load(name):
        path = tmp_path / "mine.toml"
        path.write_text(EXAMPLES[name])
        return load_board(path)

    return load


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_boards(name, example):
    board = example(name)
    assert board.title in EXAMPLES[name]
    assert board.leds


def test_a_crossbar_is_on_the_board(example, tmp_path):
    board = example("crossbar")
    assert board.config.crossbar is not None
    plan = plan_npu(board, board.config, lambda: bytes(32))
    verilog = plan.files["celosia_board.v"]
    for module in ("controller", "emulator"):
        assert re.search(rf"^module \S+\.crossbar\$\d+\.{module} ", verilog, re.M), module
    (tmp_path / "npu.toml").write_text(plan.files["npu.toml"])
    assert load_config(tmp_path / "npu.toml") == board.config


@pytest.mark.slow
def test_a_crossbar_fits_the_boards_fpga(example, tmp_path):
    """As synthesis counts: before placing, and with LUTs that only pass a signal left out."""
    board = example("crossbar")
    plan = plan_npu(board, board.config, lambda: bytes(32))
    synthesis = plan.stages[0]
    try:
        tool = find_tool(synthesis.tool)
    except CelosiaError as error:
        pytest.skip(str(error))
    for name, text in plan.files.items():
        (tmp_path / name).write_text(text)
    subprocess.run([tool.path, *synthesis.arguments], cwd=tmp_path, check=True)
    netlist = json.loads((tmp_path / "netlist.json").read_text())
    cells = Counter(cell["type"] for cell in netlist["modules"]["celosia_board"]["cells"].values())
    print(cells)
    device = board.device
    assert cells["LUT4"] + 2 * cells["CCU2C"] + 4 * cells["TRELLIS_DPR16X4"] < device.luts
    assert cells["TRELLIS_FF"] < device.flip_flops
    assert cells[device.multiplier] <= device.multipliers
    assert cells[device.block_ram] <= device.block_rams
