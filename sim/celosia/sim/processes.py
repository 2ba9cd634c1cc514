"""Programs that end when we do."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_MOMENT_S = 2.0
_LOOK_S = 0.2
# Its standard input ends when we do, however that comes about; $0 is the group to end then.
_WATCH = f'''read -r line; kill -s TERM -- "-$0"; sleep {_MOMENT_S:.0f}; kill -s KILL -- "-$0"'''


def execute(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout_s: float | None = None,
    stop: threading.Event | None = None,
) -> int | None:
    """Run a program in a folder; what it prints is appended to a log.

    The program and all that it starts are ended when the wait for it ends early: because time
    ran out, `stop` was set, because of an exception (an interrupt, say), or because this very
    process is killed. They get a moment to clean up.

    Returns
    -------
    int or None
        Its exit status (negative: the signal that ended it), or None if it was ended.
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
            with _watched(process.pid):
                while stop is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        return process.wait(_LOOK_S)
                    if stop.is_set():
                        return None
                return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _end(process)


@contextlib.contextmanager
def _watched(group: int) -> Iterator[None]:
    """Should we be killed, which nothing here survives to see, a shell ends the group."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # else a signal to our group would end it with us
    )
    try:
        yield
    finally:
        watcher.kill()  # before its input ends
        watcher.communicate()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it started: politely at first, for compilers' temporary files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_MOMENT_S)
