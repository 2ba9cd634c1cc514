"""Verilog to a Verilator simulation that cocotb drives, through the build cache.

cocotb's own runner makes every signal of the design public, which costs most of Verilator's speed
(up to seven times) and most of the build's time. Here only the ports of the top are public.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
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
_FAST_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--assert")
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
    recipe = _Recipe(
        tools=find_toolchain(),
        sources=dict(sources),
        top=top,
        parameters=dict(parameters or {}),
        timing=timing,
        trace_fst=trace_fst,
        visibility=visibility,
    )
    folder, built = cached("verilator", recipe.key(), recipe.build)
    return Simulation(executable=folder / _EXECUTABLE, top=top, traces=trace_fst, built=built)


@dataclass(frozen=True)
class _Recipe:
    """All that goes into a build."""

    tools: Toolchain
    sources: dict[str, str]
    top: str
    parameters: dict[str, int]
    timing: bool
    trace_fst: bool
    visibility: Visibility

    def key(self) -> str:
        return content_key([self.sources, self.top, self.parameters, self._settings()])

    def build(self, folder: Path) -> None:
        """Fill a folder with the simulator, its Verilog and the build's log."""
        for name, text in self.sources.items():
            (folder / name).write_text(text)
        names = list(self.sources)
        if self.visibility == "ports":
            # Verilator heeds a control file only for the Verilog that comes after it.
            names.insert(0, "visible.vlt")
            (folder / "visible.vlt").write_text(
                f'`verilator_config\npublic_flat_rw -module "{self.top}" -port "*"\n'
            )
        libraries = cocotb_tools.config.libs_dir
        link = f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"
        main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        objects = folder / "objects"
        settings = [f"-G{name}={value}" for name, value in self.parameters.items()]
        settings += ["--top-module", self.top, "-Mdir", objects.name, "-LDFLAGS", link]
        self._execute(folder, [*self.tools.verilator, *self._flags(), *settings, str(main), *names])
        library = cache_root() / "verilator-library" / content_key(self._settings())
        _copy_objects(library, objects)
        jobs = f"-j{os.cpu_count() or 1}"
        make = [self.tools.make, jobs, "-C", objects.name, "-f", "Vtop.mk"]
        self._execute(folder, [*make, *self._make_variables()])
        _copy_objects(objects, library)
        (objects / _EXECUTABLE).rename(folder / _EXECUTABLE)
        shutil.rmtree(objects)  # it takes a hundred times the simulator's room

    def _settings(self) -> list[object]:
        """What the objects of Verilator's own library depend on, too."""
        return [
            self._flags(),
            self._make_variables(),
            [self.tools.version, self.tools.origin, self.tools.compiler_version],
            # The simulator remembers where cocotb's libraries are.
            [cocotb.__version__, str(cocotb_tools.config.libs_dir)],
        ]

    def _flags(self) -> list[str]:
        flags = ["--cc", "--exe", "--vpi", "--prefix", "Vtop", "-o", _EXECUTABLE, "-Wno-fatal"]
        flags += ["--timescale", "1ns/1ps", "--timing" if self.timing else "--no-timing"]
        flags += _FAST_FLAGS if self.visibility == "ports" else ["--public-flat-rw"]
        return flags + (["--trace-fst", "--trace-structs"] if self.trace_fst else [])

    def _make_variables(self) -> list[str]:
        return [*(_FAST_MAKE if self.visibility == "ports" else ()), *self.tools.make_variables]

    def _execute(self, folder: Path, command: list[str]) -> None:
        # A surrounding make would hand its variables and its job server down.
        inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
        log = folder / "build.log"
        with log.open("a") as out:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**inherited, **self.tools.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            kept = folder.with_suffix(".log")
            log.replace(kept)
            raise CelosiaError(
                f"Verilator can't build {self.top!r} (log: {kept}):\n{log_tail(kept)}"
            )


def _copy_objects(source: Path, target: Path) -> None:
    """Copy compiled files of Verilator's own library, which are the same for every design.

    They take most of a small design's build. Each appears in one step, and with the time of now,
    so that make takes it for newer than what it was made from.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("verilated*.o"):
        if not (target / path.name).exists():
            partial = target / f"{path.name}.{os.getpid()}"
            shutil.copyfile(path, partial)
            partial.replace(target / path.name)
