"""What carries out the pieces of a network, all of a run: golden machines, or hardware."""

from collections.abc import Callable, Sequence
from typing import Protocol

from celosia.compiler.program import Program, Write
from celosia.golden.config import NpuConfig
from celosia.runtime.crossbar.hardware import HardwareTiles
from celosia.runtime.crossbar.tiles import ProgrammedTiles
from celosia.runtime.device import Inference, TilesRun
from celosia.runtime.golden_device import GoldenDevice, tiles_run
from celosia.runtime.host_schedule import Runs
from celosia.sim.host_script import HostScript, ScriptResult


class PiecePlayer(Protocol):
    """Carries out programs one after the other, on one set of crossbar tiles."""

    cycles_source: str
    """As a `Device`'s."""
    wall_s: float
    simulated_cycles: int
    """Of all that was carried out, the programming of tiles left out."""

    def run(self, program: Program, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run a program once for each element of `inputs`, after loading it."""
        ...

    def finish(self) -> TilesRun | None:
        """What became of the tiles, where there are some."""
        ...


class GoldenPieces:
    """Pieces on golden machines that share their crossbar tiles."""

    cycles_source = "model"

    def __init__(self, tiles: ProgrammedTiles | None) -> None:
        self._tiles = None if tiles is None else tiles.engine()
        self.wall_s = 0.0
        self.simulated_cycles = 0

    def run(self, program: Program, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run a program once for each element of `inputs`."""
        device = GoldenDevice(program, self._tiles)
        inferences = device.run(inputs)
        self.wall_s += device.measured.wall_s
        return inferences

    def finish(self) -> TilesRun | None:
        """What became of the tiles, where there are some."""
        return None if self._tiles is None else tiles_run(self._tiles)


class HardwarePieces:
    """Pieces on hardware that carries out scripts, with the crossbar's tiles programmed before.

    Args:
        config: the hardware's.
        play: carries out a script; what it leaves in memories and tiles the next one finds there.
        source: one of `Device.cycles_source`.
        tiles: what the crossbar's tiles hold.
    """

    def __init__(
        self,
        config: NpuConfig,
        play: Callable[[HostScript], ScriptResult],
        source: str,
        tiles: ProgrammedTiles | None,
    ) -> None:
        self._config = config
        self._play = play
        self.cycles_source = source
        self.wall_s = 0.0
        self.simulated_cycles = 0
        self._tiles: HardwareTiles | None = None
        if tiles is not None:
            script = HostScript(config)
            self._tiles = HardwareTiles(tiles, script)
            self._begun = play(script)

    def run(self, program: Program, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run a program once for each element of `inputs`, after loading it.

        Raises:
            Hung: a run did not end.
        """
        script = HostScript(self._config)
        runs = Runs(program, script, inputs)
        result = self._play(script)
        self.wall_s += result.wall_s
        self.simulated_cycles += result.cycles
        return runs.inferences(result)

    def finish(self) -> TilesRun | None:
        """What became of the tiles, where there are some."""
        if self._tiles is None:
            return None
        script = HostScript(self._config)
        self._tiles.finish(script)
        return self._tiles.outcome(self._begun, self._play(script))
