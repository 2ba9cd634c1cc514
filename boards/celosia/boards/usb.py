"""The board's USB device as Linux shows it: whether it is there, and whether it may be opened."""

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from celosia.boards.board import Board

#: Where Linux lists USB devices, and where it has their nodes.
DEVICES = Path("/sys/bus/usb/devices")
NODES = Path("/dev/bus/usb")


class Presence(Enum):
    """What is known of a USB device."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    LOCKED = "locked"
    READY = "ready"


def presence(ids: Sequence[str]) -> Presence:
    """Whether one of the devices `vendor:product` is connected, and may be written to.

    Unknown where nothing lists USB devices (another system, a container), or without `ids`.
    """
    if not ids or not DEVICES.is_dir():
        return Presence.UNKNOWN
    found = Presence.ABSENT
    for device in DEVICES.iterdir():
        if f"{_read(device / 'idVendor')}:{_read(device / 'idProduct')}" not in ids:
            continue
        try:
            bus, number = (int(_read(device / name)) for name in ("busnum", "devnum"))
        except ValueError:
            continue
        if os.access(NODES / f"{bus:03}" / f"{number:03}", os.W_OK):
            return Presence.READY
        found = Presence.LOCKED
    return found


def udev_rules(board: Board) -> str:
    """Text of a udev rules file that lets people use the board's programmer without being root.

    Whoever sits at the machine gets the device (``uaccess``, which systemd's 73-seat-late.rules
    acts on, so that the file's number has to be below 73), and so does the group plugdev, which
    openFPGALoader's own 99-openfpgaloader.rules name as well. Serial ports keep their group.
    """
    lines = [
        f"# Programmer and serial port of the {board.title}",
        f"# /etc/udev/rules.d/{rules_file(board)}",
    ]
    for device in board.usb:
        vendor, product = device.split(":")
        ids = f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}"'
        lines += [
            f'SUBSYSTEM=="usb|hidraw", {ids}, MODE="0660", GROUP="plugdev", TAG+="uaccess"',
            f'SUBSYSTEM=="tty", {ids}, TAG+="uaccess"',
        ]
    return "\n".join(lines) + "\n"


def rules_file(board: Board) -> str:
    """Name of the file that `udev_rules` is for."""
    return f"70-celosia-{board.name}.rules"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
