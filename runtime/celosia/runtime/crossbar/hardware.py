"""Crossbar tiles around the runs of a program in hardware, simulated or real."""

import numpy as np

from celosia.runtime.crossbar.programming import product_counts
from celosia.runtime.crossbar.tiles import ProgrammedTiles
from celosia.runtime.device import TilesRun
from celosia.sim.host_script import HostScript, ScriptResult


class HardwareTiles:
    """Appends to a script: bring the tiles into the crossbar; and to it or a later one: count.

    Raises:
        CelosiaError: the tiles are on another front end than hardware has.
    """

    def __init__(self, tiles: ProgrammedTiles, script: HostScript) -> None:
        self._wanted = tiles.answers
        self._begin = script.stamp()
        self._steps = tiles.write(script)
        self._read = self._steps.read
        self._end = script.stamp()
        self._after = slice(0, 0)

    def finish(self, script: HostScript) -> None:
        """Read the counters behind the runs."""
        self._after = self._steps.count(script)

    def outcome(self, begun: ScriptResult, finished: ScriptResult) -> TilesRun:
        """What became of them: from the script that brought them in, and that which counted."""
        answers = begun.answers
        got = answers[self._read]
        cycles = int(answers[self._end] - answers[self._begin])  # modulo 2^32, as the stamps are
        before = got[-(self._after.stop - self._after.start) :]
        return TilesRun(
            products=product_counts(before, finished.answers[self._after]),
            differing_words=int(np.count_nonzero(got != self._wanted)),
            programming_cycles=cycles if begun.cycles else None,
        )
