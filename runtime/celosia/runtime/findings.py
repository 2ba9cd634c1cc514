"""What the doctor finds: one line each, and how to look for packages and programs."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

_VERSION = re.compile(r"\d+(\.\d+)+|\d+")


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


def installed(distribution: str) -> str | None:
    """Version of a Python package, if it is installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def program_version(path: str, option: str = "--version") -> str:
    """What a program says its version is, or else where it is."""
    try:
        done = subprocess.run(
            [path, option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return path
    # Where it fails, it has printed how it is used, and numbers in that are no version.
    return (done.returncode == 0 and version_in(done.stdout + done.stderr)) or path


def tool(name: str) -> str | None:
    """Version of a program on PATH, if it is there."""
    path = shutil.which(name)
    return None if path is None else program_version(path)


def version_in(text: str) -> str:
    """The first thing in a text that looks like a version, or nothing."""
    match = _VERSION.search(text)
    return match[0] if match else ""
