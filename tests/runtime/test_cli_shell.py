"""How commands end: exit status, one sentence on standard error, never a traceback unasked."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli import app, main

CELOSIA = Path(sys.executable).with_name("celosia")


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    yield
    logger = logging.getLogger("celosia")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    streams = capsys.readouterr()
    return ended.value.code, streams.out, streams.err


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def examine() -> None:
        raise error

    monkeypatch.setattr("celosia.runtime.cli.doctor.examine", examine)


def commands() -> list[list[str]]:
    """Every command as the words that name it."""
    found, todo = [], [([], get_command(app.app))]
    while todo:
        words, command = todo.pop()
        found.append(words)
        todo += [([*words, name], sub) for name, sub in getattr(command, "commands", {}).items()]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help(words: list[str], capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = run(capsys, *words, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: {' '.join(['celosia', *words])} ")
    assert max(map(len, out.splitlines())) <= 80
    assert run(capsys, *words, "-h") == (0, out, "")
    if words:
        assert "--json" in out
        assert "-v, --verbose" in out


def test_no_command_prints_help(capsys):
    assert run(capsys) == run(capsys, "--help")


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"celosia {version('celosia')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["doctr"], "no such command 'doctr' (did you mean 'doctor'?); see 'celosia --help'"),
        (["--what"], "no such option: --what; see 'celosia --help'"),
        (["doctor", "--what"], "no such option: --what; see 'celosia doctor --help'"),
        (
            ["doctor", "more"],
            "got unexpected extra argument(s) (more); see 'celosia doctor --help'",
        ),
        (["models", "fetch"], "missing argument 'NAME'; see 'celosia models fetch --help'"),
    ],
)
def test_usage_errors(arguments: list[str], sentence: str, capsys):
    assert run(capsys, *arguments) == (2, "", f"error: {sentence}\n")


def test_users_mistake_is_one_sentence(capsys, monkeypatch):
    fail_with(monkeypatch, CelosiaError("The moon must be up, not [bold]'down'[/]. " + "x" * 99))
    sentence = f"error: The moon must be up, not [bold]'down'[/]. {'x' * 99}\n"
    assert run(capsys, "doctor") == (2, "", sentence)


def test_defect_is_one_sentence(capsys, monkeypatch):
    fail_with(monkeypatch, RuntimeError("boom [/]"))
    assert run(capsys, "doctor") == (
        3,
        "",
        "error: unexpected failure (RuntimeError: boom [/]); run the command with -v to see "
        "where\n",
    )
    fail_with(monkeypatch, AssertionError())
    assert "unexpected failure (AssertionError);" in run(capsys, "doctor")[2]


def test_defect_with_verbose_shows_the_traceback(capsys, monkeypatch):
    fail_with(monkeypatch, RuntimeError("boom"))
    status, out, err = run(capsys, "doctor", "-v")
    assert (status, out) == (3, "")
    assert "Traceback" in err
    assert err.endswith("RuntimeError: boom\n")


def test_demonstration_without_matplotlib(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(capsys, "demo") == (
        2,
        "",
        'error: matplotlib must be installed to draw the picture: pip install "celosia[plots]"\n',
    )


def test_interrupt(capsys, monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    assert run(capsys, "doctor") == (130, "", "error: interrupted\n")


def test_exit_status_of_a_command(capsys, monkeypatch):
    fail_with(monkeypatch, typer.Exit(1))
    assert run(capsys, "doctor") == (1, "", "")


def test_verbose_logs_to_standard_error(capsys):
    status, out, err = run(
        capsys, "models", "fetch", "-v", "ic_resnet8_int8", "--base-url=http://x:y"
    )
    assert (status, out) == (2, "")
    assert "fetching" in err
    assert len(err.splitlines()) >= 2


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]])
def test_reader_that_goes_away(arguments: list[str]):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [CELOSIA, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--version"], ["models", "--json"]])
def test_disk_that_is_full(arguments: list[str], unbuffered: str):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [CELOSIA, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (done.returncode, done.stderr) == (
        2,
        "error: there must be room on the disk: No space left on device\n",
    )


def test_termination_cleans_up(capsys, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    cleaned = []

    def examine() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            cleaned.append(True)

    monkeypatch.setattr("celosia.runtime.cli.doctor.examine", examine)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert run(capsys, "doctor") == (143, "", "")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert cleaned == [True]


def test_installed_command():
    done = subprocess.run(
        [CELOSIA, "doctor", "--json"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert json.loads(done.stdout)["ok"] is (done.returncode == 0)
