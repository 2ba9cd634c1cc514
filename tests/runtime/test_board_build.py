"""Builds: real ones of a small core for each family, and made-up tools that go wrong."""

import itertools
import json
import os
import sys
import textwrap

import pytest
from support.echo_core import EchoCore, PumpedCore

from celosia.boards.load import board_from_mapping, load_board
from celosia.boards.plan import plan_build
from celosia.boards.tools import find_tool
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.runtime import board_build
from celosia.runtime.board_build import build, build_npu, hand_over

FIRST_BYTES = {
    "ulx3s-25f": (".bit", b"\xff\x00"),  # a comment follows, as in the vendor's own
    "icebreaker": (".bin", b"\xff\x00\x00\xff\x7e\xaa\x99\x7e"),
    "tang-nano-9k": (".fs", b"1" * 32),
}


@pytest.mark.parametrize(
    ("name", "core"), [*((name, EchoCore) for name in FIRST_BYTES), ("icebreaker", PumpedCore)]
)
def test_a_small_core_is_really_built(name, core, cache, tmp_path):
    plan = plan_build(load_board(name), core, doubled=core is PumpedCore)
    for stage in plan.stages:
        try:
            find_tool(stage.tool)
        except CelosiaError as error:
            pytest.skip(str(error))
    said = []
    built = build(plan, say=said.append)
    assert built.report.met
    assert built.report.clocks.keys() == plan.clocks.keys()
    for clock, timing in built.report.clocks.items():
        assert timing.constraint_mhz == pytest.approx(plan.clocks[clock], rel=1e-3)
    between = {(crossing.from_clock, crossing.to_clock) for crossing in built.report.crossings}
    assert between == set(itertools.permutations(plan.clocks, 2))
    titles = ("synthesis", "place and route", "packing")
    assert built.ran == titles
    assert [line.split(":")[0] for line in said if ":" in line] == list(titles)
    (placing,) = (line for line in said if line.startswith("placing "))
    assert said.index(placing) < said.index("routed 100 % of the connections")
    suffix, head = FIRST_BYTES[name]
    output = tmp_path / "out"
    paths = hand_over(built, output)
    assert paths[-1] == output / f"{name}{suffix}"
    assert paths[-1].read_bytes().startswith(head)
    names = {path.name for path in paths}
    written = {"report.json", "synthesis.log", "placement.log", paths[-1].name}
    if suffix == ".bit":  # an ECP5's
        written.add("networks.json")
    assert names == {*plan.files, *written}
    (netlist,) = kept(cache, "board-netlist")
    module = json.loads((netlist / "netlist.json").read_text())["modules"]["celosia_board"]
    assert module.get("settings", {}) == plan.settings
    again = build(plan)
    assert again.ran == ()
    assert hand_over(again, output) == paths


YOSYS = """
open("synthesis.log", "w")
open("netlist.json", "w").write('{"modules": {\\n "celosia_board": {\\n "cells": {}}}}')
"""
NEXTPNR = """
import json, sys, time
arguments = sys.argv[1:]
def after(name):
    return arguments[arguments.index(name) + 1]
log = {log!r}
open(after("--log"), "w").write(log)
time.sleep({pause_s})
if {status}:
    sys.exit({status})
netlist = json.load(open(after("--json")))["modules"]["celosia_board"]
assert netlist == {{"settings": {{"placer1/minBelsForGridPick": "256"}}, "cells": {{}}}}
json.dump({report!r}, open(after("--report"), "w"))
open(after("--textcfg"), "w").write("config")
open(after("--sdf"), "w").write({delays!r})
"""
DELAYS = r"(INTERCONNECT npu\.moves_1_TRELLIS_FF_Q/Q npu\.buffer/CLKI (1003:1175:{ps}) (1:1:1))"
LOG = (
    "Info: Routing..\n"
    "Info: Max frequency for clock '$glbnet$clk': {fmax:.2f} MHz (PASS at 50 MHz)\n"
)


BOARD = {"base": "ulx3s-25f", "frequency_mhz": 50}


def report(fmax, constraint=50.0):
    return {
        "fmax": {"$glbnet$clk": {"achieved": fmax, "constraint": constraint}},
        "utilization": {"TRELLIS_COMB": {"used": 7, "available": 24288}},
        "critical_paths": [],
    }


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Write programs that stand in for the tools; each notes that it ran."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name, text):
        note = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r} + ' ')\n"
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{note}{textwrap.dedent(text)}")
        path.chmod(0o755)

    def nextpnr(log=None, fmax=60.0, constraint=50.0, status=0, ps=1000, pause_s=0):
        log = LOG.format(fmax=fmax) if log is None else log
        filled = NEXTPNR.format(
            log=log,
            report=report(fmax, constraint),
            status=status,
            delays=DELAYS.format(ps=ps),
            pause_s=pause_s,
        )
        write("nextpnr-ecp5", filled)

    write("yosys", YOSYS)
    nextpnr()
    write("ecppack", "import sys; open(sys.argv[-1], 'w').write('bits')")
    write.nextpnr = nextpnr
    write.ran = lambda: (tmp_path / "ran").read_text().split()
    return write


def plan(seed=1):
    board = board_from_mapping(BOARD, default_name="desk")
    return plan_build(board, EchoCore, seed)


def kept(cache, kind):
    return [path for path in (cache / kind).glob("*") if path.is_dir()]


def test_stages_run_again_only_where_something_changed(cache, tools):
    assert build(plan()).ran == ("synthesis", "place and route", "packing")
    assert build(plan()).ran == ()
    assert build(plan(seed=2)).ran == ("place and route", "packing")
    tools("ecppack", "import sys; open(sys.argv[-1], 'w').write('other bits')")
    assert build(plan()).ran == ("place and route", "packing")
    tools("yosys", YOSYS + "# a newer one")
    assert build(plan()).ran == ("synthesis", "place and route", "packing")
    assert len(tools.ran()) == 3 + 2 + 2 + 3


def test_a_clock_that_is_too_slow_is_reported_with_its_bitstream(cache, tools, tmp_path):
    tools.nextpnr(fmax=43.21)
    built = build(plan())
    assert not built.report.met
    assert (hand_over(built, tmp_path / "out")[-1]).read_text() == "bits"
    assert build(plan()).ran == ()  # it won't get faster


def test_a_clock_network_that_is_too_slow(cache, tools):
    """The tool adds nothing for the network, and says that 60 MHz are possible."""
    tools.nextpnr(ps=17_600)
    report = build(plan()).report
    assert not report.met
    assert report.npu_clock.fmax_mhz == pytest.approx(1e3 / (17.6 + 0.53 + 1.9))
    (path,) = report.to_json()["networks"]
    assert path == {"signal": "npu: moves_1", "ns": pytest.approx(20.03)}
    tools.nextpnr(ps=17_500)
    assert build(plan()).report.met


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"log": "Warning: net 'clk' does not exist in design, ignoring clock constraint\n"},
            "must be the report of the routed design",
        ),
        (
            {
                "log": "Warning: net 'clk' does not exist in design, ignoring clock constraint\n"
                + LOG.format(fmax=60.0)
            },
            "a constraint must name a clock of the design, but nextpnr ignored that of 'clk'",
        ),
        (
            {"constraint": 12.0, "log": LOG.format(fmax=60.0).replace("at 50", "at 12.00")},
            "the constraint of 'clk' must reach nextpnr as 50 MHz, but nextpnr used 12 MHz",
        ),
        (
            {
                "status": 255,
                "log": "Info: Device utilisation:\nInfo:   MULT18X18D:   108/    28   385%\n"
                "ERROR: Unable to place cell\n",
            },
            "the design doesn't fit: it needs 108 MULT18X18D of 28",
        ),
        ({"status": 3, "log": "ERROR: no such bel\n"}, "nextpnr-ecp5 gave up: no such bel"),
    ],
)
def test_nothing_is_kept_of_what_failed(changes, sentence, cache, tools):
    tools.nextpnr(**changes)
    with pytest.raises(CelosiaError, match=sentence):
        build(plan())
    assert not kept(cache, "board-bitstream")
    assert len(kept(cache, "board-netlist")) == 1
    tools.nextpnr()
    assert build(plan()).ran == ("place and route", "packing")


def test_a_tool_that_makes_nothing_has_failed(cache, tools):
    tools("ecppack", "print('all well')")
    with pytest.raises(CelosiaError, match="ecppack"):
        build(plan())
    assert not kept(cache, "board-bitstream")


def test_an_interrupt_leaves_nothing(cache, tools):
    def interrupt(text):
        if text.startswith("packing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(plan(), say=interrupt)
    assert not kept(cache, "board-bitstream")
    assert build(plan()).ran == ("place and route", "packing")


def test_the_first_run_of_a_yowasp_tool_is_announced(cache, tools, tmp_path, monkeypatch):
    (tmp_path / "bin" / "ecppack").unlink()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    tools(
        "yowasp-ecppack",
        """
        import sys, time
        print("Preparing to run yowasp-ecppack. This might take a while...", file=sys.stderr)
        time.sleep(1)
        open(sys.argv[-1], "w").write("bits")
        """,
    )
    said = []
    build(plan(), say=said.append)
    assert (
        said[-1] == "yowasp-ecppack runs for the first time and is compiled, which can take minutes"
    )


def test_progress_of_place_and_route_is_told_once(cache, tools):
    rows = "".join(
        f"Info:  {1000 * done} |  {done}  {done} |  {done}  {done} | {left}|  0.07  0.07|\n"
        for done, left in ((1, 3000), (2, 1990), (3, 0))
    )
    log = f"Info: Routing 4000 arcs.\n{rows}{LOG.format(fmax=60.0)}"
    tools.nextpnr(log=log, pause_s=1)  # long enough to be looked at again
    said = []
    build(plan(), say=said.append)
    told = [line for line in said if line.startswith("rout")]
    assert told == ["routing 4,000 connections", "routed 100 % of the connections"]


@pytest.fixture
def desk(tmp_path):
    """The same board as a file."""
    path = tmp_path / "desk.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in BOARD.items()))
    return path


def test_command_for_scripts(run, cache, tools, echo, desk, tmp_path):
    output = tmp_path / "deep" / "out"
    status, out, err = run("build", "--board", desk, "-o", output, "--json")
    made = json.loads(out)
    assert status == 0, err
    assert made["board"] == "desk"
    assert made["config"] == "npu8x8-desk"
    assert made["bitstream"] == str(output / "desk.bit")
    assert (output / "desk.bit").read_text() == "bits"
    assert made["met"] is True
    assert made["clocks"] == {"clk": {"fmax_mhz": 60.0, "constraint_mhz": 50.0}}
    assert made["utilisation"] == {"TRELLIS_COMB": {"used": 7, "available": 24288}}
    assert made["cached"] is False
    assert "synthesis: yosys" in err
    assert "writing the Verilog of npu8x8-desk" in err
    _, out, err = run("build", "--board", desk, "-o", output, "--json")
    assert json.loads(out)["cached"] is True
    assert err == ""  # the Verilog isn't written anew
    desk.write_text(desk.read_text().replace("50", "51"))
    assert "writing the Verilog" in run("build", "--board", desk, "-o", output)[2]


def test_nothing_is_written_where_a_tool_is_missing(run, cache, tools, monkeypatch, tmp_path):
    monkeypatch.setattr(board_build, "design_verilog", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "bin" / "ecppack").unlink()
    status, out, err = run("build", "--board", "ulx3s-25f", "-o", tmp_path / "out")
    assert (status, out) == (2, "")
    assert (
        err
        == "error: ecppack must be installed to build bitstreams: pip install 'celosia[boards]'\n"
    )


def test_command_for_people(run, cache, tools, echo, desk, tmp_path):
    tools.nextpnr(fmax=43.21)
    status, out, err = run("build", "--board", desk, "-o", tmp_path / "o")
    assert status == 1
    lines = [line.split() for line in out.splitlines()]
    assert ["clk", "43.2", "MHz", "50.0", "MHz", "-14%", "missed"] in lines
    assert (
        "npu: moves_1 takes 3.4 ns of 20.0 ns over a clock network to what it enables: met" in out
    )
    assert ["LUTs", "TRELLIS_COMB", "7", "24,288", "24,281", "0%"] in lines
    assert str(tmp_path / "o" / "desk.bit") in out
    assert "timing missed: lower frequency_mhz" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--board", "ulx4"), "board must be one of colorlight-i5, "),
        (("--board", "ulx3s-25f", "--config", "npu9"), "configuration must be one of npu4x4, "),
        (
            ("--board", "ulx3s-25f", "--config", "npu8x8"),
            "memories of npu8x8 must fit into the 112",
        ),
        (("--board", "ulx3s-25f", "--seed", "0"), "seed must be an integer from 1 to"),
        ((), "missing option '--board'"),
    ],
)
def test_refusals_of_the_command(arguments, sentence, run, cache, tools, tmp_path):
    status, out, err = run("build", *arguments, "-o", tmp_path / "out")
    assert (status, out) == (2, "")
    assert sentence in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cant_be_written(cache, tools, tmp_path):
    built = build(plan())
    (tmp_path / "file").write_text("")
    with pytest.raises(CelosiaError, match=r"^can't make folder '.*file/out': Not a directory$"):
        hand_over(built, tmp_path / "file" / "out")


@pytest.mark.slow
def test_the_npu_is_really_built():
    built = build_npu(load_board("ulx3s-85f"), PRESETS["npu4x4"])
    assert built.report.clocks
    assert built.report.utilisation["MULT18X18D"].used == 4 * 4 + 4 * 3 + 2 * 5
