"""Load a bitstream with a board's programmer, and say in one sentence why that failed."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from celosia.boards.board import Board
from celosia.boards.programmers import Loader, how_to_get
from celosia.boards.usb import Presence, presence

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: Lines that say what went wrong, in the words of openFPGALoader, dfu-util, iceprog and others.
_COMPLAINT = re.compile(
    r"error|fail|unable|can.?t |cannot|not found|no .*device|not enabled|denied|abort|invalid", re.I
)
_WARNING = re.compile(r"warning", re.I)
_LIBRARY = re.compile(r"error while loading shared libraries: (?P<library>[\w.+-]+)")
_BUILT_WITHOUT = re.compile(r"support for (?P<what>\w+) was not enabled at compile time")


@dataclass(frozen=True)
class Outcome:
    """What came of it: the programmer's status and words, and the sentence if it failed."""

    status: int
    output: str
    failure: str | None

    @property
    def ok(self) -> bool:
        """Whether the programmer said, by its exit status, that the board is loaded."""
        return self.failure is None


def load_bitstream(board: Board, loader: Loader, bitstream: Path) -> Outcome:
    """Run the programmer and wait for its end; success is its exit status 0 and nothing else."""
    try:
        done = subprocess.run(
            loader.command(bitstream),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        reason = f"{loader.path} can't be started: {error.strerror}"
        return Outcome(126, "", reason)
    output = _ANSI.sub("", done.stdout.decode(errors="replace")).replace("\r", "\n")
    if done.returncode == 0:
        return Outcome(0, output, None)
    return Outcome(
        done.returncode,
        output,
        explain(board, loader, done.returncode, output, presence(board.usb)),
    )


def explain(board: Board, loader: Loader, status: int, output: str, usb: Presence) -> str:
    """The programmer's own complaint, and what to do about it, in one sentence."""
    tool = loader.programmer.tool
    words = complaint(output).removeprefix(f"{tool}: ") or f"exit status {status}, without a word"
    said = f"{tool} failed: {words}"
    library = _LIBRARY.search(output)
    if library is not None:
        return f"{said}; install its libraries: {how_to_get(tool)}"
    if _BUILT_WITHOUT.search(output):
        others = [p.tool for p in board.programmers_for(loader.programmer.method) if p.tool != tool]
        ways = ["Debian's, apt install openfpgaloader", *(f"{t}, {how_to_get(t)}" for t in others)]
        return f"{said}; take another than this build of it: {' or '.join(ways)}"
    if usb is Presence.ABSENT:
        return (
            f"{said}; no USB device {' or '.join(board.usb)} is connected: {_connect(board, tool)}"
        )
    if usb is Presence.LOCKED:
        return (
            f"{said}; the board is connected, but you may not open its USB device: "
            f"celosia flash --board {board.name} --udev prints the rules that allow it"
        )
    if usb is Presence.UNKNOWN:
        return f"{said}; {_connect(board, tool)}"
    return said


def complaint(output: str) -> str:
    """The first line that tells what is wrong, or else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        if _COMPLAINT.search(line) and not _WARNING.search(line):
            return line.rstrip(".")
    return lines[-1].rstrip(".") if lines else ""


def _connect(board: Board, tool: str) -> str:
    if tool == "dfu-util":
        return (
            f"connect the {board.title} in its DFU bootloader (hold its button while it powers up)"
        )
    return f"connect the {board.title}"
