"""The wheel: whole, and good for a user who has no source tree."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("golden", "compiler", "hdl", "sim", "boards", "runtime")

IMPORT_ALL = """
import importlib, pkgutil, sys
import celosia
for folder in celosia.__path__:
    assert folder.startswith(sys.prefix), folder
skipped = ("celosia.sim.benches",)  # need a running simulator
for module in pkgutil.walk_packages(celosia.__path__, "celosia."):
    if not module.name.startswith(skipped):
        importlib.import_module(module.name)
        print(module.name)
"""

READ_DATA = """
from celosia.runtime.models import embedded_data, find
import hashlib
body = embedded_data("digits_int8.tflite")
assert hashlib.sha256(body).hexdigest() == find("digits_int8").sha256
assert embedded_data("digits_heldout.npz")[:2] == b"PK"
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that must succeed, away from the source tree and what points to it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    (path,) = folder.glob("celosia-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of a fresh environment: the wheel, and our dependencies beside it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    # A path in a .pth file brings the packages there, but not that folder's own .pth files: the
    # editable install of the source tree stays out.
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


def test_wheel_holds_every_file_of_the_packages(wheel: Path):
    expected = {
        str(path.relative_to(ROOT / folder))
        for folder in FOLDERS
        for path in (ROOT / folder / "celosia").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_every_module_imports(installed: Path):
    names = run(installed / "python", "-c", IMPORT_ALL, cwd=installed).split()
    assert {f"celosia.{folder}" for folder in FOLDERS} <= set(names)


def test_data_files_are_there(installed: Path):
    run(installed / "python", "-c", READ_DATA, cwd=installed)


def test_command_runs(installed: Path):
    assert "Usage: celosia" in run(installed / "celosia", "--help", cwd=installed)
    assert "digits_int8" in run(installed / "celosia", "models", cwd=installed)
