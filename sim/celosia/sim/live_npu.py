"""A simulated NPU that stays alive: scripts are carried out as they come, one after the other."""

import contextlib
import json
import os
import select
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from celosia.golden.config import NpuConfig
from celosia.sim.host_script import AccessKind, HostScript, ScriptResult
from celosia.sim.npu_simulation import NpuSimulation

_LINE_BYTES = 9
"""Of a word among the answers: eight digits and a line feed."""
_LOOK_S = 0.001


class LiveNpu:
    """What `live_npu` gives: memories and crossbar keep what one script leaves to the next."""

    def __init__(self, config: NpuConfig, folder: Path, commands: int, run: "Future[None]") -> None:
        self._config = config
        self._answers, self._measured = folder / "answers", folder / "measured"
        self._commands = commands
        self._run = run
        self._taken = 0

    def play(self, script: HostScript) -> ScriptResult:
        """Carry a script out. One whose wait passes its limit is the last.

        Raises:
            SimulationFailed: the simulator crashed or an assertion in the gateware failed.
        """
        first = HostScript(self._config)
        first.stamp()
        last = (AccessKind.STAMP, AccessKind.FLUSH)
        begin = time.perf_counter()
        self._send(first.encode(()) + script.encode(last))
        wanted = script.answers + 2
        while self._waiting() < wanted and not self._run.done():
            time.sleep(_LOOK_S)
        wall_s = time.perf_counter() - begin
        timed_out = self._waiting() < wanted
        if timed_out:
            self._run.result()
            if not json.loads(self._measured.read_text())["timed_out"]:
                raise RuntimeError("the simulation ended before its script did")
        words = self._take(min(wanted, self._waiting()))
        if timed_out:
            return ScriptResult(words[1:], timed_out, 0, wall_s)
        cycles = int(words[-1] - words[0])  # modulo 2^32, as the stamps are
        return ScriptResult(words[1:-1], timed_out, cycles, wall_s)

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left and not self._run.done():
            if select.select([], [self._commands], [], _LOOK_S)[1]:
                left = left[os.write(self._commands, left) :]

    def _waiting(self) -> int:
        """Words that can be taken."""
        there = self._answers.stat().st_size if self._answers.exists() else 0
        return there // _LINE_BYTES - self._taken

    def _take(self, count: int) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
        with self._answers.open("rb") as file:
            file.seek(self._taken * _LINE_BYTES)
            text = file.read(count * _LINE_BYTES)
        self._taken += count
        return np.array([int(line, 16) for line in text.split()], np.uint32)


@contextlib.contextmanager
def live_npu(simulation: NpuSimulation, *, waves: Path | None = None) -> Iterator[LiveNpu]:
    """A simulation's NPU, out of reset once and there until the end of the context.

    Raises:
        SimulationFailed: the simulator crashed or an assertion in the gateware failed.
    """
    with tempfile.TemporaryDirectory(prefix="celosia-live-") as name:
        folder, stop = Path(name), threading.Event()
        commands = folder / "commands"
        os.mkfifo(commands)
        # Open for reading as well, so that neither side waits for the other to open it.
        pipe = os.open(commands, os.O_RDWR | os.O_NONBLOCK)
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(simulation.carry_out, folder, waves=waves, stop=stop)
            try:
                npu = LiveNpu(simulation.config, folder, pipe, run)
                npu.play(HostScript(simulation.config))  # it is there, and time counts from now on
                yield npu
            except BaseException:
                stop.set()
                raise
            finally:
                os.close(pipe)
        run.result()
