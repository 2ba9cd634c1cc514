"""The NPU in a bare C++ loop, without cocotb: the yardstick of simulation speed."""

import importlib.resources
import os
import tempfile
import time
from pathlib import Path

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.hdl.tops import TOPS
from celosia.sim.design_verilog import design_verilog
from celosia.sim.host_script import HostScript
from celosia.sim.processes import execute
from celosia.sim.toolchain import Toolchain, find_toolchain
from celosia.sim.verilator_build import FAST_FLAGS, FAST_MAKE


def time_bare_loop(
    config: NpuConfig, script: HostScript, repetitions: int
) -> tuple[float, int, float]:
    """Build the loop and run a script: build seconds, cycles, and the fastest run's seconds.

    Verilator and compiler get the flags of our cocotb builds. Nothing is cached: the build is
    measured.

    Raises:
        CelosiaError: a tool is missing or the build fails.
    """
    tools = find_toolchain()
    verilog = design_verilog(config)
    with tempfile.TemporaryDirectory(prefix="celosia-bare-") as name:
        folder = Path(name)
        (folder / "npu.v").write_text(verilog)
        main = importlib.resources.files("celosia.sim").joinpath("bare_loop.cpp").read_text()
        (folder / "bare_loop.cpp").write_text(main)
        (folder / "commands").write_bytes(script.encode())
        begin = time.perf_counter()
        command = [*tools.verilator, "--cc", "--exe", "--prefix", "Vtop", "-o", "bare_loop"]
        command += ["-Wno-fatal", "--no-timing", *FAST_FLAGS, "--top-module", TOPS["npu"].module]
        _run([*command, "bare_loop.cpp", "npu.v"], folder, tools)
        jobs = f"-j{os.cpu_count() or 1}"
        make = [tools.make, jobs, "-C", "obj_dir", "-f", "Vtop.mk", *FAST_MAKE]
        _run([*make, *tools.make_variables], folder, tools)
        build_s = time.perf_counter() - begin
        runs = []
        for _ in range(repetitions):
            printed = _run(["obj_dir/bare_loop", "commands"], folder, tools).split()
            runs.append((float(printed[1]), int(printed[0])))
    wall_s, cycles = min(runs)
    return build_s, cycles, wall_s


def _run(command: list[str], folder: Path, tools: Toolchain) -> str:
    """What a program prints. Raises CelosiaError where it fails."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    status = execute(command, folder, tools.full_environment(), log)
    printed = log.read_text(errors="replace")
    if status:
        raise CelosiaError(f"{command[0]} failed: {printed[-2000:]}")
    return printed
