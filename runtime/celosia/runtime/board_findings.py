"""What the doctor looks at for boards: building, loading, and the serial line."""

import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path

from celosia.boards.programmers import find_programmer, how_to_get
from celosia.boards.tools import INSTALL, TOOLS
from celosia.runtime.findings import Finding, installed, program_version

_PURPOSES = {
    "yosys": "synthesis",
    "nextpnr-ecp5": "ECP5 place and route",
    "ecppack": "ECP5 bitstreams",
    "nextpnr-ice40": "iCE40 place and route",
    "icepack": "iCE40 bitstreams",
    "nextpnr-himbaechel-gowin": "Gowin place and route",
    "gowin_pack": "Gowin bitstreams",
}
#: Programmers, what for, and the option that makes each print its version, if there is one.
_PROGRAMMERS = (
    ("openFPGALoader", "loading most boards", "-V"),
    ("dfu-util", "loading the OrangeCrab", "--version"),
    ("iceprog", "loading the iCEBreaker", None),
)
_SERIAL = ("ttyUSB*", "ttyACM*")
_DEFAULT_GROUP = "dialout"


def board_findings() -> list[Finding]:
    """Everything that boards want, in the order in which it should be shown."""
    return [
        *(Finding(name, _PURPOSES[name], False, _built_with(name), INSTALL) for name in TOOLS),
        *(
            Finding(name, purpose, False, *_programmer(name, option))
            for name, purpose, option in _PROGRAMMERS
        ),
        serial_ports(Path("/dev")),
    ]


def _built_with(name: str) -> str | None:
    """Version of a native tool, or the package that brings the tool along.

    A package's tool isn't asked: its first start compiles it, which takes up to minutes.
    """
    names = TOOLS[name]
    for native in names.native:
        path = shutil.which(native)
        if path is not None:
            return program_version(path)
    found = installed(names.package)
    return None if found is None else f"{names.package} {found}"


def _programmer(name: str, option: str | None) -> tuple[str | None, str]:
    """Version of a programmer that runs, and how to get it or what keeps it from running."""
    hint = how_to_get(name)
    for path in find_programmer(name):
        if option is None:
            return path, hint
        try:
            done = subprocess.run(
                [path, option],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            hint = f"{path} doesn't run ({type(error).__name__}): {how_to_get(name)}"
            continue
        if done.returncode == 0:
            return program_version(path, option), hint
        words = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
        hint = (
            f"{path} doesn't run ({words[-1] if words else 'no reason given'}): {how_to_get(name)}"
        )
    return None, hint


def serial_ports(dev: Path) -> Finding:
    """Whether this user may open the serial ports of USB that are there, or would be there."""
    ports = sorted(path for pattern in _SERIAL for path in dev.glob(pattern))
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    group = _group(closed or ports)
    hint = f"sudo usermod -aG {group} {_user()}, then log in again"
    if closed:
        found = None
    elif ports:
        found = ", ".join(port.name for port in ports)
    elif sys.platform != "linux" or os.geteuid() == 0 or group in _groups():
        found = "none connected; may be opened"
    else:
        found = None
    return Finding("serial ports", "line to boards", False, found, hint)


def _group(ports: list[Path]) -> str:
    """The group that serial ports belong to: dialout on Debian and Fedora, uucp on Arch."""
    try:
        return ports[0].group() if ports else _DEFAULT_GROUP
    except (KeyError, OSError):
        return _DEFAULT_GROUP


def _groups() -> set[str]:
    import grp  # not on every system, and asked on Linux only

    names = set()
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return names


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "$USER"
