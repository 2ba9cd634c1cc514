"""What the tests of builds and of the command line share."""

import pytest
from support.echo_core import EchoCore

from celosia.boards.plan import plan_build
from celosia.runtime import board_build
from celosia.runtime.cli import main


@pytest.fixture
def run(capsys):
    """Runs a command: (exit status, standard output, standard error)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        return ended.value.code, streams.out, streams.err

    return call


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CELOSIA_CACHE", str(folder))
    return folder


@pytest.fixture
def echo(monkeypatch):
    """Builds are of a small core in place of the NPU, whose Verilog takes its time."""
    monkeypatch.setattr(board_build, "design_verilog", lambda config: "")
    monkeypatch.setattr(
        board_build,
        "plan_npu",
        lambda board, config, digest, seed, emit: plan_build(board, EchoCore, seed, emit),
    )
