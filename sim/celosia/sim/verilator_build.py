"""Verilog to a Verilator simulation that cocotb drives, through the build cache.

cocotb's own runner makes every signal of the design public, which costs most of Verilator's speed
(up to seven times) and most of the build's time. Here only the ports of the top are public.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import cocotb
import cocotb_tools.config

from celosia.golden.errors import CelosiaError
from celosia.sim.cache import cache_root, cached, content_key
from celosia.sim.simulation import Simulation, log_tail
from celosia.sim.toolchain import Toolchain, find_toolchain

Visibility = Literal["ports", "default"]

_EXECUTABLE = "simulator"  # fixed, so that no top's name can shadow a C++ header
_FAST_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--assert", "--no-timing")
_FAST_MAKE = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")


def build_simulation(
    sources: Mapping[str, str],
    top: str,
    *,
    parameters: Mapping[str, int] | None = None,
    timing: bool = False,
    trace_fst: bool = False,
    visibility: Visibility = "ports",
) -> Simulation:
    """Build a simulation, or find it in the cache.

    Parameters
    ----------
    sources : mapping of str to str
        Verilog text by file name.
    top : str
        Name of the top module, whose ports cocotb sees.
    parameters : mapping of str to int, optional
        Values for the top's Verilog parameters.
    timing : bool
        Keep delays in the Verilog (a wrapper that drives its own clock needs them).
    trace_fst : bool
        Make the simulation able to write waves. Its own cache entry; slower.
    visibility : "ports" or "default"
        "default" builds as cocotb's runner does, with every signal public and neither
        optimisation nor assertions: for debugging by hand and for the speed benchmark.

    Raises
    ------
    CelosiaError
        If a tool is missing, or the Verilog can't be built; then it names the build's log.
    """
    tools = find_toolchain()
    flags = _flags(top, dict(parameters or {}), timing, trace_fst, visibility)
    make_flags = _FAST_MAKE if visibility == "ports" else ()
    key = content_key(
        {
            "sources": dict(sources),
            "flags": flags,
            "make": [*make_flags, *tools.make_variables],
            "verilator": [tools.version, tools.origin],
            "compiler": tools.compiler_version,
            # The executable remembers where cocotb's libraries are.
            "cocotb": [cocotb.__version__, str(cocotb_tools.config.libs_dir)],
        }
    )

    def build(folder: Path) -> None:
        _write_sources(folder, sources, top, visibility)
        _verilate(tools, folder, key, flags, make_flags, [*_source_names(sources, visibility)])

    folder, built = cached("verilator", key, build)
    return Simulation(executable=folder / _EXECUTABLE, top=top, traces=trace_fst, built=built)


def _flags(
    top: str, parameters: dict[str, int], timing: bool, trace_fst: bool, visibility: Visibility
) -> list[str]:
    flags = ["--cc", "--exe", "--vpi", "--top-module", top, "--prefix", "Vtop", "-Wno-fatal"]
    flags += ["-o", _EXECUTABLE, "--timescale", "1ns/1ps"]
    if visibility == "ports":
        flags += [flag for flag in _FAST_FLAGS if not (timing and flag == "--no-timing")]
    else:
        flags += ["--public-flat-rw"]
    if timing:
        flags += ["--timing"]
    if trace_fst:
        flags += ["--trace-fst", "--trace-structs"]
    return flags + [f"-G{name}={value}" for name, value in sorted(parameters.items())]


def _source_names(sources: Mapping[str, str], visibility: Visibility) -> list[str]:
    # Verilator reads control files only ahead of the Verilog that they control.
    return (["visible.vlt"] if visibility == "ports" else []) + list(sources)


def _write_sources(
    folder: Path, sources: Mapping[str, str], top: str, visibility: Visibility
) -> None:
    for name, text in sources.items():
        (folder / name).write_text(text)
    if visibility == "ports":
        (folder / "visible.vlt").write_text(
            f'`verilator_config\npublic_flat_rw -module "{top}" -port "*"\n'
        )


def _verilate(
    tools: Toolchain,
    folder: Path,
    key: str,
    flags: list[str],
    make_flags: tuple[str, ...],
    source_names: list[str],
) -> None:
    libraries = cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    link = f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"
    jobs = f"-j{os.cpu_count() or 1}"
    objects = folder / "objects"
    commands = [
        [*tools.verilator, *flags, "-Mdir", "objects", "-LDFLAGS", link, str(main), *source_names],
        [tools.make, jobs, "-C", "objects", "-f", "Vtop.mk", *make_flags, *tools.make_variables],
    ]
    # MAKEFLAGS of a surrounding `make` would bring its variables and job server in.
    inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    log = folder / "build.log"
    for command in commands:
        with log.open("a") as out:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**inherited, **tools.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            kept = cache_root() / "verilator" / f"{key}.log"
            shutil.copyfile(log, kept)
            raise CelosiaError(
                f"Verilator can't build {source_names[-1]} (log: {kept}):\n{log_tail(kept)}"
            )
    (objects / _EXECUTABLE).rename(folder / _EXECUTABLE)
    shutil.rmtree(objects)  # the C++ and its objects take a hundred times the room
