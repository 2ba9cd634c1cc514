"""A board as a device, real or virtual: programs run there as they do in simulation.

with SerialLine("/dev/ttyUSB0", 3_000_000) as line:
    device = BoardDevice(program, HostLink(line))
    (inference,) = device.run([writes])
"""

import time
from collections.abc import Sequence

import numpy as np

from celosia.compiler.program import Program, Write
from celosia.golden.errors import CelosiaError
from celosia.golden.link.identity import Identity, config_digest
from celosia.golden.memory_map import Register
from celosia.runtime.crossbar.hardware import HardwareTiles
from celosia.runtime.crossbar.tiles import ProgrammedTiles
from celosia.runtime.device import Inference, Measured, TilesRun
from celosia.runtime.host_schedule import Runs
from celosia.runtime.link.host_link import HostLink
from celosia.sim.host_script import Access, AccessKind, HostScript, ScriptResult

_PATIENCE_S = 5.0
_SLOWEST_HZ = 20_000
"""Clock below which no board runs, a simulated one included: how long a poll may take."""


class BoardDevice:
    """Runs a program on a board behind a link.

    Attributes
    ----------
    identity : Identity
        Who the board says it is.

    Raises
    ------
    LinkError
        Nobody answers.
    CelosiaError
        The board has another configuration than the program was compiled for.
    """

    cycles_source = "board"

    def __init__(
        self, program: Program, link: HostLink, tiles: ProgrammedTiles | None = None
    ) -> None:
        self._program = program
        self._programmed = tiles
        self.tiles: TilesRun | None = None
        self._link = link
        begin = time.perf_counter()
        self.identity: Identity = link.connect()
        wanted = config_digest(program.config)
        if tiles is not None and not int(link.read(Register.CROSSBAR, 1)[0]):
            raise CelosiaError(
                f"board must have a crossbar for the layers of '{program.name}' that are on one, "
                f"and it has none"
            )
        if self.identity.config != wanted:
            raise CelosiaError(
                f"board must have the configuration that the program was compiled for "
                f"({program.config.name}, {wanted.hex()}), not {self.identity.config.hex()}"
            )
        self.measured = Measured(build_s=time.perf_counter() - begin)

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, after loading it.

        Raises:
            Hung: a run did not end.
            LinkError: the board doesn't answer any more.
        """
        script = HostScript(self._program.config)
        tiles = None if self._programmed is None else HardwareTiles(self._programmed, script)
        runs = Runs(self._program, script, inputs)
        if tiles is not None:
            tiles.finish(script)
        result = play(script, self._link)
        self.measured = Measured(
            build_s=self.measured.build_s, wall_s=self.measured.wall_s + result.wall_s
        )
        inferences = runs.inferences(result)
        self.tiles = None if tiles is None else tiles.outcome(result, result)
        return inferences


def play(script: HostScript, link: HostLink) -> ScriptResult:
    """Carry a script out over a link; its time stamps are all zero.

    Raises:
        LinkError: the board doesn't answer any more.
    """
    begin = time.perf_counter()
    answers: list[np.ndarray] = []
    timed_out = False
    for access in script.accesses():
        if access.kind is AccessKind.WRITE:
            link.write(access.address, access.words)
        elif access.kind is AccessKind.READ:
            answers.append(link.read(access.address, access.count))
        elif access.kind is AccessKind.STAMP:
            answers.append(np.zeros(1, np.uint32))
        elif not _poll(access, link):
            timed_out = True
            answers.append(link.read(0, access.count))
            break
    words = np.concatenate(answers) if answers else np.empty(0, np.uint32)
    return ScriptResult(words, timed_out, 0, time.perf_counter() - begin)


def _poll(access: Access, link: HostLink) -> bool:
    """Whether a bit of the mask was set in time."""
    deadline = time.monotonic() + _PATIENCE_S + access.limit / _SLOWEST_HZ
    while time.monotonic() < deadline:
        if int(link.read(access.address, 1)[0]) & access.mask:
            return True
    return False
