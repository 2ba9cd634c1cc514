"""What others build on: the testbench of docs/verilog.md, and FuseSoC with the core file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.tflite_writer import ModelBuilder

from celosia.golden.memory_map import Region
from celosia.sim.toolchain import find_toolchain

TESTBENCH = Path(__file__).parents[2] / "docs" / "verilog" / "testbench.v"
CELOSIA = Path(sys.executable).with_name("celosia")
SMALL = (
    'name = "small"\nbase = "npu4x4"\nscratchpad_kib = 4\nweight_kib = 4\naccumulator_depth = 32\n'
)
ADDRESS_BITS = 12 + 3


def celosia(folder, *words):
    done = subprocess.run(
        [CELOSIA, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A configuration, a network, the Verilog and the accesses."""
    folder = tmp_path_factory.mktemp("handover")
    (folder / "small.toml").write_text(SMALL)
    model = ModelBuilder(seed=4)
    x = model.conv(model.input((1, 6, 5, 3)), 7, activation="RELU")
    (folder / "net.tflite").write_bytes(model.finish(model.fully_connected(x, 5)))
    out = celosia(folder, "verilog", "--config", "small.toml", "--top", "wishbone", "-o", "npu.v")
    assert f"a window of {1 << ADDRESS_BITS:#x} bytes" in out
    words = ["stimulus", "net.tflite", "--config", "small.toml", "--top", "wishbone"]
    celosia(folder, *words, "-o", "net.txt")
    return folder


@pytest.fixture(scope="module")
def simulator(folder):
    """The testbench, built as docs/verilog.md says, but quickly."""
    tools = find_toolchain()
    command = [*tools.verilator, "--binary", "-O1", "-CFLAGS", "-O0", "--top-module", "testbench"]
    command += [
        f"-GADDRESS_BITS={ADDRESS_BITS}",
        "-GPATIENCE=100000",
        "-MAKEFLAGS",
        " ".join(tools.make_variables),
    ]
    done = subprocess.run(
        [*command, str(TESTBENCH), "npu.v"],
        cwd=folder,
        env=tools.full_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warning" not in done.stderr
    return folder / "obj_dir" / "Vtestbench"


def simulate(simulator, stimulus):
    done = subprocess.run(
        [simulator, f"+stimulus={stimulus}"],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    return done.stdout


def test_plain_verilog_testbench(folder, simulator):
    lines = (folder / "net.txt").read_text().splitlines()
    assert f"PASS: {len(lines)} accesses\n" in simulate(simulator, folder / "net.txt")


def test_it_finds_a_spoilt_word(folder, simulator, tmp_path):
    text = (folder / "net.txt").read_text()
    spoilt = f"{int(text[-9:], 16) ^ 0x10:08x}\n"
    (tmp_path / "spoilt.txt").write_text(text[:-9] + spoilt)
    assert "FAIL: 1 words differ" in simulate(simulator, tmp_path / "spoilt.txt")


def test_it_finds_a_lost_weight(folder, simulator, tmp_path):
    lines = (folder / "net.txt").read_text().splitlines(keepends=True)
    weights = Region.WEIGHTS << ADDRESS_BITS - 3
    found = [n for n, line in enumerate(lines) if line[0] == "w" and line.split()[2] != "0" * 8]
    number = max(n for n in found if weights <= int(lines[n].split()[1], 16))
    (tmp_path / "lost.txt").write_text("".join(lines[:number] + lines[number + 1 :]))
    assert "PASS" not in simulate(simulator, tmp_path / "lost.txt")


@pytest.mark.parametrize("text", ["r 00000000 314c4543\nhello\n", ""])
def test_it_finds_a_file_that_is_none(simulator, tmp_path, text):
    (tmp_path / "none.txt").write_text(text)
    assert "can't be read" in simulate(simulator, tmp_path / "none.txt")


def test_fusesoc_finds_and_lints_the_core(folder, tmp_path):
    pytest.importorskip("fusesoc", reason="needs celosia[test]")
    tools = find_toolchain()
    shim = tmp_path / "verilator"
    shim.write_text(f'#!/bin/sh\nexec "{tools.verilator[-1]}" "$@"\n')
    shim.chmod(0o755)
    environment = tools.full_environment()
    environment |= {"PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}", "HOME": str(tmp_path)}
    command = [Path(sys.executable).with_name("fusesoc"), "--cores-root", str(folder), "run"]
    done = subprocess.run(
        [*command, "--target", "lint", "celosia:small:celosia_wishbone"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "celosia_wishbone" in done.stdout + done.stderr
