"""However a simulation ends, the caller hears of it."""

import os
import signal
import time
from pathlib import Path

import pytest

from celosia.sim.simulation import Simulation, SimulationFailed
from celosia.sim.verilator_build import build_simulation

BENCHES = "support.ending_benches"

COUNTER = """
module counter #(parameter WIDTH = 10) (input clk, input rst, output reg [WIDTH-1:0] count);
  wire hidden = count[0];
  always @(posedge clk) count <= rst ? 0 : count + 1;
  always @(posedge clk) assert (count < 900);
endmodule
"""


@pytest.fixture(autouse=True)
def logs_of_failures_go_here(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def counter() -> Simulation:
    return build_simulation({"counter.v": COUNTER}, "counter")


def failure(simulation: Simulation, test: str, **options: float) -> SimulationFailed:
    with pytest.raises(SimulationFailed) as caught:
        simulation.run(BENCHES, test_filter=rf"\.{test}$", **options)
    assert caught.value.log.is_file()
    return caught.value


def test_passing(counter):
    result = counter.run(BENCHES, test_filter=r"\.passes$")
    (test,) = result.tests
    assert test.name == f"{BENCHES}.passes"
    assert test.failure is None
    assert test.simulated_ns == 60
    assert 0 <= test.wall_s < result.wall_s


def test_failing(counter):
    message = str(failure(counter, "fails"))
    assert "1 of 1 tests failed\n  support.ending_benches.fails: the count should be" in message


def test_failing_among_passing(counter):
    assert "1 of 2 tests failed" in str(failure(counter, "(passes|fails)"))


def test_failing_in_background(counter):
    assert "in the background" in str(failure(counter, "fails_in_background"))


def test_assertion_in_hardware(counter):
    assert "counter.v:5: Assertion failed" in str(failure(counter, "violates_assertion"))


def test_crash(counter):
    assert "the simulator ended by signal 11 before" in str(failure(counter, "crashes"))


def test_silent_exit(counter):
    assert "the simulator ended with status 0 before" in str(failure(counter, "exits"))


def test_no_such_test(counter):
    assert "support.ending_benches ran no test" in str(failure(counter, "nothing"))


def test_no_such_module(counter):
    with pytest.raises(SimulationFailed, match="No module named 'no_such_bench'"):
        counter.run("no_such_bench")


@pytest.mark.parametrize("where", ["python", "verilog"])
def test_hang(counter, where):
    start = time.monotonic()
    message = str(failure(counter, f"hangs_in_{where}", timeout_s=3.0))
    assert "support.ending_benches didn't end within 3.0 s" in message
    assert time.monotonic() - start < 10


def test_log_is_removed_on_success(counter, tmp_path):
    counter.run(BENCHES, test_filter=r"\.passes$")
    assert os.listdir(tmp_path) == []


def test_interrupt_leaves_nothing(counter, tmp_path):
    began = time.monotonic()

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            counter.run(BENCHES, test_filter=r"\.hangs_in_python$", timeout_s=60)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 10
    assert os.listdir(tmp_path) == []


def test_seed_environment_and_plusargs(counter):
    def line() -> str:
        result = counter.run(
            BENCHES,
            test_filter=r"\.prints_seed_and_environment$",
            env={"WORD": "given"},
            plusargs=["+plus=ed"],
            seed=7,
        )
        (line,) = [line for line in result.log.splitlines() if line.startswith("SEED")]
        return line

    assert line().endswith("WORD given PLUS ed")
    assert line() == line()


def test_waves_need_tracing(counter):
    with pytest.raises(ValueError, match=r"^waves need a simulation .* trace_fst=True$"):
        counter.run(BENCHES, waves=Path("never.fst"))


def test_parameters():
    for width in (10, 12):
        simulation = build_simulation(
            {"counter.v": COUNTER}, "counter", parameters={"WIDTH": width}
        )
        simulation.run(BENCHES, test_filter=r"\.sees_parameter$", env={"WIDTH": str(width)})


def test_visibility(counter):
    counter.run(BENCHES, test_filter=r"\.cannot_see_inside$")
    everything = build_simulation({"counter.v": COUNTER}, "counter", visibility="default")
    everything.run(BENCHES, test_filter=r"\.can_see_inside$")


def test_verilog_drives_the_clock():
    wrapper = """
module wrapper(input run, output [9:0] count);
  reg clk = 0;
  always #5 if (run) clk = ~clk;
  counter inner(.clk(clk), .rst(1'b0), .count(count));
endmodule
"""
    sources = {"counter.v": COUNTER, "wrapper.v": wrapper}
    simulation = build_simulation(sources, "wrapper", timing=True)
    simulation.run(BENCHES, test_filter=r"\.waits_for_own_clock$")
