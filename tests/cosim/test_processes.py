"""Programs that are started end with whoever waits for them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from celosia.sim.processes import execute

#: A tool that starts another, which says that both are there, and takes for ever.
TOOL = """
import os, subprocess, sys, time
helper = "import os, sys, time; print(os.getppid(), os.getpid(), flush=True); time.sleep(600)"
subprocess.run([sys.executable, "-c", helper])
"""
WAITING = """
import os, signal, sys
from pathlib import Path
# A shell's background ignores SIGINT, nohup SIGHUP.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from celosia.runtime.cli import app  # installs the command's own handling of signals
from celosia.sim.processes import execute
folder = Path(sys.argv[1])
app._run = lambda arguments: execute(
    [sys.executable, "-c", sys.argv[2]], folder, os.environ, folder / "log"
)
app.main([])
"""


def pids(log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if log.exists() and len(log.read_text().split()) == 2:
            return [int(word) for word in log.read_text().split()]
        time.sleep(0.05)
    raise AssertionError("the tool never started")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until_gone(*processes):
    deadline = time.monotonic() + 60
    while any(map(alive, processes)):
        assert time.monotonic() < deadline, "left running"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_command_ends_its_tools(number, tmp_path):
    command = [sys.executable, "-c", WAITING, str(tmp_path), TOOL]
    waiting = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    started = pids(tmp_path / "log")
    waiting.send_signal(number)
    waiting.wait(60)
    until_gone(*started)


def test_a_signal_to_the_commands_group_ends_its_tools(tmp_path):
    command = [sys.executable, "-c", WAITING, str(tmp_path), TOOL]
    waiting = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    started = pids(tmp_path / "log")
    os.killpg(waiting.pid, signal.SIGKILL)
    waiting.wait(60)
    until_gone(*started)


def test_time_that_runs_out_ends_them(tmp_path):
    log = tmp_path / "log"
    assert execute([sys.executable, "-c", TOOL], tmp_path, os.environ, log, timeout_s=3) is None
    until_gone(*pids(log))


def test_a_program_that_ends_is_all(tmp_path):
    log = tmp_path / "log"
    status = execute(["/bin/sh", "-c", "echo a; exit 7"], tmp_path, os.environ, log)
    assert (status, log.read_text()) == (7, "a\n")
    status = execute(["/bin/sh", "-c", "kill -9 $$"], tmp_path, os.environ, log)
    assert status == -signal.SIGKILL
