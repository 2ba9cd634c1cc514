# amaranth: UnusedElaboratable=no
"""Reports of real place-and-route runs, one of each family, read back."""

import json
import re
from dataclasses import replace

import pytest
from support.routed_designs import Design, EnabledBits, Words, route

from celosia.boards.networks import NETWORK_NS, REGISTER_NS, read_networks, write_networks
from celosia.boards.paths import clock_name, module_and_signal
from celosia.boards.report import BuildReport, ClockTiming, Resource, read_report
from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.build_report import print_report

CONSTRAINTS = {"ecp5": 60.0, "ice40": 24.0, "gowin": 27.0}
MULTIPLIERS = {"ecp5": "MULT18X18D", "gowin": "MULT9X9"}


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    """Runs of the small design by family, made when first asked for."""
    runs = {}

    def run(family):
        if family not in runs:
            folder = tmp_path_factory.mktemp(family)
            runs[family] = route(family, folder, Design(), f"--freq {CONSTRAINTS[family]}")
            assert runs[family].status == 0, runs[family].output
        return runs[family]

    return run


@pytest.mark.parametrize("family", CONSTRAINTS)
def test_report_of_each_family(family, routed, capsys):
    run = routed(family)
    report = read_report(run.report, run.log, {"clk": CONSTRAINTS[family]})
    assert report.met
    assert report.untimed == (("multipliers",) if family == "gowin" else ())

    # The last figure of the log is the one after routing; the one before is an estimate.
    *_, estimate, final = re.findall(r"Max frequency for clock.*': ([\d.]+) MHz", run.log)
    assert report.clocks.keys() == {"clk"}
    clock = report.clocks["clk"]
    assert clock.fmax_mhz == pytest.approx(float(final), abs=0.005)
    assert estimate != final
    assert clock.constraint_mhz == CONSTRAINTS[family]

    for name, resource in report.utilisation.items():
        row = re.search(rf"{name}: +(\d+)/ *(\d+) ", run.log)
        if row:
            # On its way nextpnr puts in LUTs that only pass a signal through.
            more = resource.used - int(row[1]) if name == "LUT4" else 0
            assert more >= 0
            assert (resource.used - more, resource.available) == (int(row[1]), int(row[2])), name
    if family in MULTIPLIERS:
        assert report.utilisation[MULTIPLIERS[family]].used == 1

    # Our sums by module against those that the log prints below the path.
    (path,) = report.critical_paths
    sums = [
        re.search(r"([\d.]+) ns logic, ([\d.]+) ns routing", block)
        for block in run.log.split("Critical path report for clock")[-1:]
    ]
    assert path.logic_ns == pytest.approx(float(sums[0][1]), abs=0.006)
    assert path.routing_ns == pytest.approx(float(sums[0][2]), abs=0.006)
    assert path.ns == pytest.approx(1e3 / clock.fmax_mhz, abs=0.01)
    assert {part.module for part in path.parts} <= {"top", "stage", "stage/multiplier_0"}
    assert "stage/multiplier_0" in {part.module for part in path.parts}
    assert re.fullmatch(
        r"(top|stage|stage/multiplier_0): (bits|a|b|product|total|parity|o)", path.end
    )

    result = json.loads(json.dumps(report.to_json()))
    assert result["met"] is True
    assert result["clocks"] == {
        "clk": {"fmax_mhz": clock.fmax_mhz, "constraint_mhz": CONSTRAINTS[family]}
    }
    assert all(entry.keys() == {"used", "available"} for entry in result["utilisation"].values())

    print_report(report)
    out = capsys.readouterr().out
    assert f"{clock.fmax_mhz:,.1f} MHz" in out
    assert "stage/multiplier_0: " in out
    assert ("upper bounds" in out) is (family == "gowin")
    assert ("at most" in out) is (family == "gowin")
    assert (" not known\n" in out) is (family == "gowin")
    assert (" met\n" in out) is (family != "gowin")


@pytest.mark.parametrize("family", CONSTRAINTS)
def test_a_path_behind_a_block_ram(family, tmp_path, capsys):
    """The longest path is from the memory's answer to its parity, where nextpnr knows of it."""
    run = route(family, tmp_path, Design(Words()), f"--freq {CONSTRAINTS[family]}")
    report = read_report(run.report, run.log, {"clk": CONSTRAINTS[family]})
    (path,) = report.critical_paths
    assert path.end.endswith(": o") is (family != "gowin")
    assert report.untimed == (("block RAMs",) if family == "gowin" else ())
    assert report.to_json()["untimed"] == list(report.untimed)
    print_report(report)
    out = capsys.readouterr().out
    assert ("knows no delay of this FPGA's block RAMs, so that" in out) is (family == "gowin")
    assert ("at most" in out) is (family == "gowin")


def test_missed_timing_is_a_report_that_says_so(tmp_path, capsys):
    run = route("ecp5", tmp_path, Design(), "--freq 400")
    assert run.status == 1  # nextpnr fails, but leaves its report
    report = read_report(run.report, run.log, {"clk": 400.0})
    assert not report.met
    assert report.clocks["clk"].fmax_mhz < 400
    print_report(report)
    assert "missed" in capsys.readouterr().out


def test_two_clocks_of_which_one_has_no_constraint(tmp_path):
    (tmp_path / "pins").write_text('FREQUENCY PORT "clk" 60 MHZ;\n')
    run = route("ecp5", tmp_path, Design(fast=True), "")
    with pytest.raises(CelosiaError) as refused:
        read_report(run.report, run.log, {"clk": 60.0})
    assert str(refused.value) == (
        "every clock must have a constraint, but 'fast_clk' has none: nextpnr assumed 12 MHz"
    )
    # Asked for, but not passed on: nextpnr's own 12 MHz is found out as well.
    with pytest.raises(CelosiaError) as refused:
        read_report(run.report, run.log, {"clk": 60.0, "fast_clk": 80.0})
    assert str(refused.value) == (
        "the constraint of 'fast_clk' must reach nextpnr as 80 MHz, but nextpnr used 12 MHz"
    )
    report = read_report(run.report, run.log, {"clk": 60.0, "fast_clk": 12.0})
    between = [(path.from_clock, path.to_clock) for path in report.critical_paths]
    assert sorted(between[:2]) == [("clk", "clk"), ("fast_clk", "fast_clk")]
    assert between[2:] == [("clk", "fast_clk")]
    assert report.critical_paths[2].start == "stage: o"


def test_enables_over_a_clock_network(tmp_path):
    """The parts of the path that nextpnr times are those that it prints; and its delays of the
    network's wires, which it doesn't add, are no longer than ours."""
    options = "--freq 60 --sdf delays.sdf --detailed-timing-report"
    run = route("ecp5", tmp_path, EnabledBits(), options)
    assert run.status == 0, run.output
    write_networks(tmp_path / "delays.sdf", tmp_path / "networks.json")
    (path,) = read_networks(tmp_path / "networks.json")
    assert path.signal == "top: moves"
    content = json.loads(run.report.read_text())
    (network,) = (net for net in content["detailed_net_timings"] if net["port"] == "CLKO")
    assert len(network["endpoints"]) == 100
    assert {end["port"] for end in network["endpoints"]} == {"CE"}
    assert 1 < max(max(end["delay"]) for end in network["endpoints"]) < NETWORK_NS

    starts = [step for part in content["critical_paths"] for step in part["path"]]
    (register,) = {step["delay"] for step in starts if step["type"] == "clk-to-q"}
    assert register == pytest.approx(REGISTER_NS, abs=0.01)
    routed = read_report(run.report, run.log, {"clk": 60.0}, (path,))
    assert routed.npu_clock.fmax_mhz == pytest.approx(
        min(routed.clocks["clk"].fmax_mhz, 1e3 / (register + path.wire_ns + NETWORK_NS)), rel=0.01
    )


def test_paths_between_clocks(routed, tmp_path, capsys):
    """They have the faster clock's period, which nextpnr doesn't look at."""
    pins = "set_frequency clk 15\nset_frequency fast_clk 30\n"
    (tmp_path / "pins").write_text(pins)
    run = route("ice40", tmp_path, Design(fast=True), "--pcf-allow-unconstrained")
    report = read_report(run.report, run.log, {"clk": 15.0, "fast_clk": 30.0})
    (crossing,) = report.crossings
    *_, final = re.findall(
        r"Max delay posedge clk\S* +-> posedge fast_clk\S* *: ([\d.]+) ns", run.log
    )
    assert crossing.ns == pytest.approx(float(final), abs=0.006)
    assert (crossing.from_clock, crossing.to_clock) == ("clk", "fast_clk")
    assert crossing.limit_ns == pytest.approx(1e3 / 30, rel=1e-3)
    assert crossing.met
    assert report.met
    assert report.to_json()["crossings"] == [
        {
            "from_clock": "clk",
            "to_clock": "fast_clk",
            "ns": crossing.ns,
            "limit_ns": crossing.limit_ns,
        }
    ]
    clock = report.npu_clock
    assert clock.constraint_mhz == pytest.approx(15, rel=1e-3)
    assert clock.fmax_mhz == pytest.approx(
        min(report.clocks["clk"].fmax_mhz, report.clocks["fast_clk"].fmax_mhz / 2), rel=1e-3
    )
    print_report(report)
    assert (
        f"paths from clk to fast_clk take up to {crossing.ns:.1f} ns of the 33.3 ns between their "
        "edges: met\n"
    ) in capsys.readouterr().out

    # A fast clock whose period these paths don't keep, though each clock alone is quick enough.
    fast = 1e3 / (0.9 * crossing.ns)
    clocks = {"clk": ClockTiming(900, fast / 2), "fast_clk": ClockTiming(900, fast)}
    report = replace(report, clocks=clocks)
    assert all(clock.met for clock in report.clocks.values())
    assert not report.met
    clock = report.npu_clock
    assert not clock.met
    assert clock.fmax_mhz == pytest.approx(0.9 * fast / 2)
    print_report(report)
    assert "edges: missed\n" in capsys.readouterr().out


def test_constraint_that_nextpnr_ignored(tmp_path):
    (tmp_path / "pins").write_text('FREQUENCY PORT "clk" 60 MHZ;\nFREQUENCY NET "typo" 9 MHZ;\n')
    run = route("ecp5", tmp_path, Design(), "")
    with pytest.raises(CelosiaError) as refused:
        read_report(run.report, run.log, {"clk": 60.0})
    assert str(refused.value) == (
        "a constraint must name a clock of the design, but nextpnr ignored that of 'typo'"
    )


def test_constraint_of_no_clock(routed):
    run = routed("ecp5")
    with pytest.raises(CelosiaError) as refused:
        read_report(run.report, run.log, {"clk": 60.0, "fast_clk": 80.0})
    assert str(refused.value) == (
        "a constraint must name a clock that drives registers, but nextpnr knows no 'fast_clk'; "
        "it has 'clk'"
    )


def test_report_of_another_run_is_refused(routed, tmp_path):
    run = routed("ecp5")
    content = json.loads(run.report.read_text())
    (net,) = content["fmax"]
    content["fmax"][net]["achieved"] += 0.02
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    for report, log in (
        (other, run.log),
        # Placed, but not routed: only the estimate is there.
        (run.report, run.log[: run.log.index("Info: Routing..")]),
    ):
        with pytest.raises(CelosiaError) as refused:
            read_report(report, log, {"clk": 60.0})
        assert str(refused.value) == (
            f"{report.name} must be the report of the routed design in the log, but their clocks "
            "differ; build again in an empty folder"
        )


def test_no_path_between_registers(tmp_path):
    path = tmp_path / "report.json"
    path.write_text('{"critical_paths": [], "fmax": {}, "utilization": {}}')
    log = "Info: Routing..\nInfo: No Fmax available; no interior timing paths found in design.\n"
    with pytest.raises(CelosiaError) as refused:
        read_report(path, log, {"clk": 60.0})
    assert str(refused.value) == (
        "a design must have paths between its registers, but nextpnr found none and so gives no "
        "frequency"
    )


def test_two_clocks_of_one_name(routed, tmp_path):
    run = routed("ecp5")
    content = json.loads(run.report.read_text())
    (net,) = content["fmax"]
    content["fmax"]["other.clk"] = content["fmax"][net]
    both = tmp_path / "both.json"
    both.write_text(json.dumps(content))
    log = run.log
    for line in log.splitlines():
        if "Max frequency" in line:
            log += line.replace(net, "other.clk") + "\n"
    with pytest.raises(CelosiaError) as refused:
        read_report(both, log, {"clk": 60.0})
    assert str(refused.value) == "clocks must have names of their own, but two are called 'clk'"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"fmax": {"c": {"achieved": 0, "constraint": 12}}}', '{"fmax": 3}']
)
def test_what_is_no_report(text, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(CelosiaError) as refused:
        read_report(path, "", {})
    assert str(refused.value).startswith(
        "report.json must be a report of nextpnr (--report), which this can't be read as: "
    )


def test_no_file(tmp_path):
    with pytest.raises(CelosiaError, match=r"^report.json must be a report of nextpnr"):
        read_report(tmp_path / "report.json", "", {})


def test_met_needs_all_clocks():
    met, missed = ClockTiming(60.0, 60.0), ClockTiming(59.99, 60.0)
    for clocks, expected in (
        ({"a": met}, True),
        ({"a": met, "b": missed}, False),
        ({"a": missed}, False),
    ):
        assert BuildReport(clocks, {}, (), False).met is expected
    assert Resource(3, 10).left == 7


@pytest.mark.parametrize(
    ("net", "name"),
    [
        ("$glbnet$clk$TRELLIS_IO_IN", "clk"),
        ("$glbnet$fast_clk", "fast_clk"),
        ("clk$SB_IO_IN_$glb_clk", "clk"),
        ("npu.post.clk", "clk"),
        ("clk_$glb_clk", "clk"),
    ],
)
def test_clock_names(net, name):
    assert clock_name(net) == name


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("npu.post.reducer.sum_TRELLIS_FF_Q_3", ("npu/post/reducer", "sum")),
        ("npu.out_SB_DFFSR_Q_R_SB_LUT4_O_LC", ("npu", "out")),
        ("npu.rows.2_SB_DFF_Q", ("npu", "rows.2")),
        ("npu.data.memory.0.0", ("npu/data", "memory.0.0")),
        ("npu.o$6_TRELLIS_FF_Q", ("npu", "o")),
        ("npu.post.$1_MULT18X18D_P9", ("npu/post", "$1")),
        ("rst$tr_io", ("top", "rst")),
        ("\\$62_DFFCE_Q", ("top", "$62")),
        ("m.0.0", ("top", "m.0.0")),
        ("$PACKER_VCC", ("top", "$PACKER_VCC")),
        ("$abc$123$auto$x.cc:7:f$9", ("top", "$abc$123$auto$x.cc:7:f$9")),
    ],
)
def test_modules_of_cells(cell, expected):
    assert module_and_signal(cell) == expected
