"""Plans: constraint files, commands, and that the same board always gives the same ones."""

import tomllib
from dataclasses import replace

import pytest
from support.echo_core import EchoCore, PumpedCore

from celosia.boards.devices import DEVICES
from celosia.boards.load import BOARDS, board_from_mapping, load_board
from celosia.boards.plan import build_tools, memory_plan, multiplier_plan, plan_build, plan_npu
from celosia.golden.config import PRESETS, config_from_mapping
from celosia.golden.errors import CelosiaError
from celosia.golden.link.identity import DIGEST_BYTES
from celosia.golden.rounding import RoundingProfile
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan

LPF = """\
LOCATE COMP "clock_pin" SITE "A9";
IOBUF PORT "clock_pin" IO_TYPE=LVCMOS33 PULLMODE=NONE;
LOCATE COMP "rx" SITE "N17";
IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;
LOCATE COMP "tx" SITE "M18";
IOBUF PORT "tx" IO_TYPE=LVCMOS33 PULLMODE=NONE;
LOCATE COMP "led_0" SITE "M3";
IOBUF PORT "led_0" IO_TYPE=LVCMOS33 PULLMODE=NONE;
LOCATE COMP "led_1" SITE "J3";
IOBUF PORT "led_1" IO_TYPE=LVCMOS33 PULLMODE=NONE;
LOCATE COMP "led_2" SITE "K4";
IOBUF PORT "led_2" IO_TYPE=LVCMOS33 PULLMODE=NONE;
LOCATE COMP "reset_pin" SITE "J17";
IOBUF PORT "reset_pin" IO_TYPE=SSTL135_I PULLMODE=NONE;
FREQUENCY PORT "clock_pin" 48 MHZ;
FREQUENCY NET "clk" 60 MHZ;
"""
PCF = """\
set_io clock_pin 35
set_io -pullup yes rx 6
set_io tx 9
set_io led_0 37
set_io led_1 11
set_io reset_pin 10
set_frequency clock_pin 12
set_frequency clk 16.5
"""
CST = """\
IO_LOC "clock_pin" 52;
IO_PORT "clock_pin" IO_TYPE=LVCMOS33 PULL_MODE=NONE;
IO_LOC "rx" 18;
IO_PORT "rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;
IO_LOC "tx" 17;
IO_PORT "tx" IO_TYPE=LVCMOS33 PULL_MODE=NONE;
"""


def command(stage):
    return " ".join((stage.tool, *stage.arguments))


def test_ecp5():
    board = board_from_mapping({"base": "orangecrab-85f", "frequency_mhz": 60}, default_name="mine")
    plan = plan_build(board, EchoCore, seed=7)
    assert plan.files["board.lpf"] == LPF
    assert plan.files["synthesis.ys"] == (
        "read_verilog celosia_board.v\n"
        "synth_ecp5 -run begin:map_luts -top celosia_board\n"
        "abc9 -W 1000 -D 10000\n"
        "clean\n"
        "synth_ecp5 -run map_cells: -top celosia_board\n"
        "select -set carry t:CCU2C\n"
        "select -set carried @carry %co1:+CCU2C[COUT] @carry %d\n"
        "select -set read c:* %ci1 w:* %i\n"
        "select -set last @carried @read %d %ci1:+CCU2C[COUT] @carry %i\n"
        "setparam -set LAST 1 @last\n"
        "techmap -map ecp5_carry.v\n"
        "opt_clean\n"
        "write_json netlist.json\n"
    )
    assert plan.clocks == {"clk": 60.0}
    assert [command(stage) for stage in plan.stages] == [
        "yosys -q -l synthesis.log synthesis.ys",
        "nextpnr-ecp5 -q --log placement.log --json netlist.json --report report.json --seed 7 "
        "--timing-allow-fail --85k --package CSFBGA285 --speed 8 --lpf board.lpf "
        "--textcfg board.config --sdf delays.sdf",
        "ecppack --compress board.config mine.bit",
    ]
    assert plan.bitstream == "mine.bit"
    assert "EHXPLLL" in plan.files["celosia_board.v"]


def test_ice40():
    board = board_from_mapping({"base": "icebreaker", "frequency_mhz": 16.5}, default_name="mine")
    plan = plan_build(board, EchoCore)
    assert plan.files["board.pcf"] == PCF
    assert "synth_ice40 -device u -top" in plan.files["synthesis.ys"]
    assert [command(stage) for stage in plan.stages[1:]] == [
        "nextpnr-ice40 -q --log placement.log --json netlist.json --report report.json --seed 1 "
        "--timing-allow-fail --up5k --package sg48 --pcf board.pcf --asc board.asc",
        "icepack board.asc mine.bin",
    ]
    assert "SB_PLL40_PAD" in plan.files["celosia_board.v"]
    plan = plan_build(board, PumpedCore, doubled=True)
    assert plan.files["board.pcf"] == PCF + "set_frequency double_clk 33\n"
    assert plan.clocks == {"clk": 16.5, "double_clk": 33}
    assert "SB_PLL40_2F_PAD" in plan.files["celosia_board.v"]


def test_an_ice40_whose_oscillator_is_on_another_pin():
    table = {"base": "icebreaker", "clock": {"pin": "20"}}
    plan = plan_build(board_from_mapping(table, default_name="mine"), EchoCore)
    assert "SB_PLL40_CORE" in plan.files["celosia_board.v"]
    plan = plan_build(board_from_mapping(table, default_name="mine"), PumpedCore, doubled=True)
    assert "SB_PLL40_2F_CORE" in plan.files["celosia_board.v"]


def test_gowin():
    board = board_from_mapping({"base": "tang-nano-9k", "leds": []}, default_name="mine")
    plan = plan_build(board, EchoCore)
    assert plan.files["board.cst"] == CST
    assert plan.files["board.sdc"] == "create_clock -name npu -period 37.037037 [get_nets clk]\n"
    assert plan.clocks == {"clk": 27}
    assert "synth_gowin -family gw1n -nowidelut -top" in plan.files["synthesis.ys"]
    assert [command(stage) for stage in plan.stages[1:]] == [
        "nextpnr-himbaechel-gowin -q --log placement.log --json netlist.json --report report.json "
        "--seed 1 --timing-allow-fail --device GW1NR-LV9QN88PC6/I5 --vopt family=GW1N-9C "
        "--vopt cst=board.cst --sdc board.sdc --write board.pnr.json",
        "gowin_pack -d GW1N-9C -o mine.fs board.pnr.json",
    ]
    assert "rPLL" not in plan.files["celosia_board.v"]  # 27 MHz are the oscillator's own
    fast = board_from_mapping({"base": "tang-nano-20k", "frequency_mhz": 45}, default_name="fast")
    plan = plan_build(fast, EchoCore)
    assert "rPLL" in plan.files["celosia_board.v"]
    assert "synth_gowin -family gw2a -nowidelut -top" in plan.files["synthesis.ys"]


def test_a_clock_without_pll_is_constrained_at_its_pin():
    board = board_from_mapping({"base": "icepi-zero", "frequency_mhz": 50}, default_name="mine")
    plan = plan_build(board, EchoCore)
    assert plan.clocks == {"clock_pin": 50}
    assert "FREQUENCY NET" not in plan.files["board.lpf"]
    assert 'FREQUENCY PORT "clock_pin" 50 MHZ;' in plan.files["board.lpf"]


@pytest.mark.parametrize("name", BOARDS)
def test_plans_are_always_the_same(name):
    board = load_board(name)
    plan = plan_build(board, EchoCore)
    assert plan == plan_build(load_board(name), EchoCore)
    made = {product for stage in plan.stages for product in stage.products}
    assert plan.bitstream in made
    assert not made & set(plan.files)
    # Nothing says where or when it was made.
    assert not [text for text in plan.files.values() if "/home" in text]


@pytest.mark.parametrize("name", ["ulx3s-25f", "icebreaker", "tang-nano-9k"])
def test_tools_are_those_of_the_stages(name):
    board = load_board(name)
    assert build_tools(board) == tuple(s.tool for s in plan_build(board, EchoCore).stages)


def test_the_npu_tells_its_digest_to_the_host():
    board = load_board("ulx3s-25f")
    small = replace(PRESETS["npu4x4"], scratchpad_kib=4, weight_kib=4, depthwise_taps=0)
    plans = [
        plan_npu(board, small, lambda digest=digest: digest * 32) for digest in (b"\x01", b"\x02")
    ]
    lines = [plan.files["celosia_board.v"].splitlines() for plan in plans]
    assert config_from_mapping(tomllib.loads(plans[0].files["npu.toml"]), default_name="") == small
    assert 0 < sum(a != b for a, b in zip(*lines, strict=True)) <= 2 * DIGEST_BYTES


@pytest.mark.parametrize(
    ("name", "preset", "primitives"),
    [
        ("ulx3s-85f", "npu16x16", 156 - 8 * 7),
        ("ulx3s-25f", "npu8x8", 28 - 4 * 7),
        ("ulx3s-25f", "npu16x16", 0),
        ("icebreaker", "npu4x4", 8),
        ("tang-nano-9k", "npu4x4", 40 - 2 * 9),
    ],
)
def test_multipliers_that_the_requantiser_leaves(name, preset, primitives):
    plan = multiplier_plan(load_board(name), PRESETS[preset])
    assert (plan.family, plan.primitives) == (load_board(name).family, primitives)


@pytest.mark.parametrize(
    ("changes", "lane"),
    [
        ({}, 5),
        # Its multipliers have 53 bits.
        ({"profiles": (RoundingProfile.LITERT,)}, 7),
        ({"profiles": (RoundingProfile.FLOAT32,)}, 5),
        ({"vector_operations": False}, 4),
        ({"profiles": (RoundingProfile.TFLM,), "requantizer_bits": 8}, 1),
    ],
)
def test_lanes_take_what_was_planned_for_them(changes, lane):
    board = load_board("ulx3s-25f")
    small = replace(PRESETS["npu4x4"], scratchpad_kib=4, weight_kib=4, depthwise_taps=0, **changes)
    array = multiplier_plan(board, small).primitives
    assert array == board.device.multipliers - 2 * lane
    verilog = plan_npu(board, small, lambda: bytes(32)).files["celosia_board.v"]
    assert verilog.count("MULT18X18D #(") == min(array, 16) + 2 * lane


@pytest.mark.parametrize(
    ("preset", "scratchpad", "weights", "large"),
    [
        ("npu4x4", 64, 64, {"scratchpad", "weights"}),
        ("npu4x4", 4, 8, {"scratchpad", "weights"}),
        ("npu4x4", 64, 65, None),
        # Of 8 lanes one takes all four RAMs.
        ("npu8x8", 15, 128, {"weights"}),
        ("npu8x8", 64, 15, {"scratchpad"}),
        ("npu8x8", 64, 16, None),
        ("npu16x16", 8, 7, set()),
    ],
)
def test_memories_in_large_rams(preset, scratchpad, weights, large):
    config = replace(PRESETS[preset], scratchpad_kib=scratchpad, weight_kib=weights)
    if large is None:
        with pytest.raises(CelosiaError, match=r"^memories of "):
            memory_plan(DEVICES["iCE40UP5K"], config)
        return
    plan = memory_plan(DEVICES["iCE40UP5K"], config)
    assert plan == MemoryPlan(**dict.fromkeys(large, True))
    small = replace(config, scratchpad_kib=8, weight_kib=8)
    assert memory_plan(DEVICES["GW2AR-18C"], small) == INFERRED


def test_refusals():
    with pytest.raises(
        CelosiaError,
        match=r"^memories of npu8x8 must fit into the 112 KiB of block RAM of an LFE5U-25F, not "
        r"take 384 KiB: give a smaller scratchpad_kib and weight_kib$",
    ):
        plan_npu(load_board("ulx3s-25f"), PRESETS["npu8x8"], bytes)
    with pytest.raises(
        CelosiaError,
        match=r"^memories of npu4x4 must fit into the 15 KiB of block RAM of an iCE40UP5K beside "
        r"its 4 large RAMs, not take 65 KiB: give a smaller scratchpad_kib and weight_kib$",
    ):
        # More vectors than a large RAM has.
        plan_npu(load_board("icebreaker"), replace(PRESETS["npu4x4"], weight_kib=65), bytes)
    for seed in (0, -1, 1.0, True, 2**31):
        with pytest.raises(CelosiaError, match=r"^seed must be an integer from 1 to 2147483647, n"):
            plan_build(load_board("ulx3s-25f"), EchoCore, seed=seed)
