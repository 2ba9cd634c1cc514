"""Programs that end when we do."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_MOMENT_S = 2.0


def execute(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout_s: float | None = None,
) -> int | None:
    """Run a program in a folder; what it prints is appended to a log.

    The program and all that it starts are ended when the wait for it ends early: because time
    ran out, or because of an exception (an interrupt, say). They get a moment to clean up.

    Returns
    -------
    int or None
        Its exit status (negative: the signal that ended it), or None if time ran out.
    """
    with log.open("a") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it started: politely at first, for compilers' temporary files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_MOMENT_S)
