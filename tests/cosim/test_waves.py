"""FST waves, with the system's compression libraries and without."""

import dataclasses

import pytest
import pywellen

from celosia.golden.errors import CelosiaError
from celosia.sim import verilator_build
from celosia.sim.simulation import SimulationFailed
from celosia.sim.toolchain import find_toolchain, has_fst_libraries
from celosia.sim.verilator_build import build_simulation

LONG_NAMES = [f"signal_with_a_name_to_fill_the_file_{index}" for index in range(30)]
COUNTER = f"""
module counter(input clk, input rst, output reg [9:0] count);
  always @(posedge clk) count <= rst ? 0 : count + 1;
  {" ".join(f"wire [9:0] {name} = count ^ {index};" for index, name in enumerate(LONG_NAMES))}
endmodule
"""


@pytest.fixture(params=["libraries", "stand-ins"])
def compression(request, monkeypatch):
    libraries = request.param == "libraries"
    if libraries and not has_fst_libraries(find_toolchain().compiler):
        pytest.skip("zlib and LZ4 (Debian: zlib1g-dev, liblz4-dev) aren't installed")
    monkeypatch.setattr(verilator_build, "has_fst_libraries", lambda compiler: libraries)


@pytest.mark.usefixtures("compression")
def test_waves(tmp_path):
    simulation = build_simulation({"counter.v": COUNTER}, "counter", trace_fst=True)
    path = tmp_path / "counter.fst"
    simulation.run("support.ending_benches", test_filter=r"\.passes$", waves=path)

    waves = pywellen.Waveform(str(path))
    edges = [time for time, level in waves["counter.clk"].signal if level == 1]
    counts = [count for _, count in waves["counter.count"].signal]
    assert edges == [10_000 * index for index in range(len(edges))]
    assert counts == [0, 1, 2, 3, 4, 5]
    for index, name in enumerate(LONG_NAMES):
        assert [count for _, count in waves[f"counter.{name}"].signal] == [
            count ^ index for count in counts
        ]


def test_waves_of_a_failure_are_kept(tmp_path):
    simulation = build_simulation({"counter.v": COUNTER}, "counter", trace_fst=True)
    path = tmp_path / "counter.fst"
    with pytest.raises(SimulationFailed):
        simulation.run("support.ending_benches", test_filter=r"\.fails$", waves=path)
    assert path.stat().st_size
    assert list(tmp_path.iterdir()) == [path]


def test_waves_that_cannot_be_written(tmp_path):
    simulation = build_simulation({"counter.v": COUNTER}, "counter", trace_fst=True)
    for path, reason in ((tmp_path / "no" / "x.fst", "No such file"), (tmp_path, "Is a dir")):
        with pytest.raises(CelosiaError, match=rf"^can't write '{path}': {reason}"):
            simulation.run("support.ending_benches", test_filter=r"\.passes$", waves=path)
    assert list(tmp_path.iterdir()) == []


def test_old_verilator_needs_the_libraries(monkeypatch):
    native = dataclasses.replace(find_toolchain(), origin="native")
    monkeypatch.setattr(verilator_build, "find_toolchain", lambda: native)
    monkeypatch.setattr(verilator_build, "has_fst_libraries", lambda compiler: False)
    message = r"^zlib and LZ4 must be installed to write waves \(Debian: zlib1g-dev, "
    with pytest.raises(CelosiaError, match=message):
        build_simulation({"counter.v": COUNTER}, "counter", trace_fst=True)


def test_libraries_are_looked_for(tmp_path):
    compiler = tmp_path / "compiler"
    for status in (0, 1):
        compiler.write_text(f"#!/bin/sh\nexit {status}\n")
        compiler.chmod(0o755)
        has_fst_libraries.cache_clear()
        assert has_fst_libraries(str(compiler)) == (status == 0)
