"""Verilog to a Verilator simulation that cocotb drives, through the build cache.

cocotb's own runner makes every signal of the design public, which costs most of Verilator's speed
(up to seven times) and most of the build's time. Here only the ports of the top are public.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import cocotb
import cocotb_tools.config

from celosia.golden.errors import CelosiaError
from celosia.sim.cache import cache_root, cached, content_key
from celosia.sim.processes import execute
from celosia.sim.simulation import Simulation, log_tail
from celosia.sim.toolchain import Toolchain, find_toolchain, has_fst_libraries

_log = logging.getLogger(__name__)

Visibility = Literal["ports", "default"]

# What makes a build fast to run, for Verilator and for make.
FAST_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--assert")
FAST_MAKE = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")
_QUICK_MAKE = ("OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")
_EXECUTABLE = "simulator"  # fixed, so that no top's name can shadow a C++ header
_TIMING = {True: "--timing", False: "--no-timing"}
_STAND_INS = Path(__file__).parent / "fst_stand_ins"


def build_simulation(
    sources: Mapping[str, str],
    top: str,
    *,
    parameters: Mapping[str, int] | None = None,
    timing: bool = False,
    trace_fst: bool = False,
    visibility: Visibility = "ports",
    quick: bool = False,
) -> Simulation:
    """Build a simulation for cocotb, or find it in the cache.

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
    quick : bool
        Compile without optimisation: for netlists, which are long to compile and run for a moment.

    Raises
    ------
    CelosiaError
        If a tool is missing, or the Verilog can't be built; then it names the build's log.
    """
    fast = visibility == "ports"
    visible = f'`verilator_config\npublic_flat_rw -module "{top}" -port "*"\n'
    recipe = _Recipe(
        tools=find_toolchain(),
        top=top,
        # Verilator heeds a control file only for the Verilog that comes after it.
        sources={"visible.vlt": visible, **sources} if fast else dict(sources),
        parameters=dict(parameters or {}),
        flags=[*(FAST_FLAGS if fast else ("--public-flat-rw",)), _TIMING[timing]],
        make_variables=list(_QUICK_MAKE if quick else FAST_MAKE) if fast else [],
    )
    if trace_fst:
        recipe = recipe.with_fst()
    folder, built = cached("verilator", recipe.key(), recipe.build)
    _log.debug("simulator of %s %s %s", top, "built in" if built else "found in", folder)
    return Simulation(executable=folder / _EXECUTABLE, top=top, traces=trace_fst, built=built)


@dataclass(frozen=True)
class _Recipe:
    """All that goes into a build."""

    tools: Toolchain
    top: str
    sources: dict[str, str]  # in the order that Verilator reads them
    parameters: dict[str, int]
    flags: list[str]
    make_variables: list[str]
    headers: dict[str, str] = field(default_factory=dict)

    def with_fst(self) -> "_Recipe":
        """The same build, able to write waves."""
        recipe = replace(self, flags=[*self.flags, "--trace-fst", "--trace-structs"])
        if has_fst_libraries(self.tools.compiler):
            return recipe
        if self.tools.origin == "native":
            raise CelosiaError(
                "zlib and LZ4 must be installed to write waves (Debian: zlib1g-dev, liblz4-dev)."
            )
        # The wheel's FST writer gets by with stand-ins that store instead of compress. Its
        # makefile links the real ones, unless it is told what to link.
        return replace(
            recipe,
            headers={path.name: path.read_text() for path in sorted(_STAND_INS.glob("*.h"))},
            flags=[*recipe.flags, "-CFLAGS", "-I../headers"],
            make_variables=[*self.make_variables, f"LDLIBS={_cocotb_link()} -pthread"],
        )

    def key(self) -> str:
        return content_key(
            [self.top, list(self.sources.items()), self.parameters, self._settings()]
        )

    def build(self, folder: Path) -> None:
        """Fill a folder with the simulator, its sources and the build's log."""
        for name, text in self.sources.items():
            (folder / name).write_text(text)
        for name, text in self.headers.items():
            (folder / "headers").mkdir(exist_ok=True)
            (folder / "headers" / name).write_text(text)
        objects = folder / "objects"
        main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        verilate = [*self.tools.verilator, "--cc", "--exe", "--vpi", "--top-module", self.top]
        verilate += ["--prefix", "Vtop", "-o", _EXECUTABLE, "-Mdir", objects.name, "-Wno-fatal"]
        verilate += ["--timescale", "1ns/1ps", "-LDFLAGS", _cocotb_link(), *self.flags]
        verilate += [f"-G{name}={value}" for name, value in self.parameters.items()]
        self._execute(folder, [*verilate, str(main), *self.sources])
        library = cache_root() / "verilator-library" / content_key(self._settings())
        _copy_objects(library, objects)
        make = [self.tools.make, f"-j{os.cpu_count() or 1}", "-C", objects.name, "-f", "Vtop.mk"]
        self._execute(folder, [*make, *self.tools.make_variables, *self.make_variables])
        _copy_objects(objects, library)
        (objects / _EXECUTABLE).rename(folder / _EXECUTABLE)
        shutil.rmtree(objects)  # it takes a hundred times the simulator's room

    def _settings(self) -> list[object]:
        """What the objects of Verilator's own library depend on, too."""
        return [
            self.flags,
            self.make_variables,
            self.headers,
            list(self.tools.make_variables),
            [self.tools.version, self.tools.origin, self.tools.compiler_version],
            [cocotb.__version__, _cocotb_link()],
        ]

    def _execute(self, folder: Path, command: list[str]) -> None:
        log = folder / "build.log"
        if execute(command, folder, self.tools.full_environment(), log):
            kept = folder.with_suffix(".log")
            log.replace(kept)
            raise CelosiaError(
                f"Verilator can't build {self.top!r} (log: {kept}):\n{log_tail(kept)}"
            )


def _cocotb_link() -> str:
    libraries = cocotb_tools.config.libs_dir  # the simulator remembers where they are
    return f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"


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
