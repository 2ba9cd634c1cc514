"""The NPU in a bare C++ loop, without cocotb: the yardstick of simulation speed."""

import importlib.resources
import os
import subprocess
import tempfile
import time
from pathlib import Path

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.sim.host_script import HostScript
from celosia.sim.npu_simulation import NPU_TOP, npu_verilog
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
    verilog = npu_verilog(config)
    with tempfile.TemporaryDirectory(prefix="celosia-bare-") as name:
        folder = Path(name)
        (folder / "npu.v").write_text(verilog)
        main = importlib.resources.files("celosia.sim").joinpath("bare_loop.cpp").read_text()
        (folder / "bare_loop.cpp").write_text(main)
        (folder / "commands").write_bytes(script.encode())
        begin = time.perf_counter()
        command = [*tools.verilator, "--cc", "--exe", "--prefix", "Vtop", "-o", "bare_loop"]
        command += ["-Wno-fatal", "--no-timing", *FAST_FLAGS, "--top-module", NPU_TOP]
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
    done = subprocess.run(
        command,
        cwd=folder,
        env=tools.full_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CelosiaError(f"{command[0]} failed: {done.stderr[-2000:] or done.stdout[-2000:]}")
    return done.stdout
