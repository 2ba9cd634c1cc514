"""The RTL in Verilator as a device."""

from collections.abc import Sequence
from pathlib import Path

from celosia.compiler.program import Program, Write
from celosia.runtime.crossbar.hardware import HardwareTiles
from celosia.runtime.crossbar.tiles import ProgrammedTiles
from celosia.runtime.device import Inference, Measured, TilesRun
from celosia.runtime.host_schedule import Runs
from celosia.sim.host_script import HostScript
from celosia.sim.npu_simulation import NpuSimulation
from celosia.sim.verilator_build import Visibility


class RtlDevice:
    """Builds the RTL for a program's configuration and runs the program in it.

    `tiles` are what the crossbar's tiles hold. `waves` names an FST file that the next `run`
    writes. `visibility` is for benchmarks.
    """

    cycles_source = "rtl"

    def __init__(
        self,
        program: Program,
        *,
        waves: Path | None = None,
        visibility: Visibility = "ports",
        tiles: ProgrammedTiles | None = None,
    ) -> None:
        self._program = program
        self._waves = waves
        self._programmed = tiles
        self._simulation = NpuSimulation(
            program.config, trace_fst=waves is not None, visibility=visibility
        )
        self.measured = Measured(build_s=self._simulation.build_s)
        self.tiles: TilesRun | None = None

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, all in one simulation.

        The first run stands alone. If the program has two entries the transfers of the others
        overlap with computation.

        Raises:
            Hung: a run did not end.
        """
        script = HostScript(self._program.config)
        tiles = None if self._programmed is None else HardwareTiles(self._programmed, script)
        runs = Runs(self._program, script, inputs)
        if tiles is not None:
            tiles.finish(script)
        result = self._simulation.run(script, waves=self._waves)
        inferences = runs.inferences(result)
        self.tiles = None if tiles is None else tiles.outcome(result, result)
        serial, overlapping = runs.cycles(result)
        self.measured = Measured(
            build_s=self.measured.build_s,
            wall_s=self.measured.wall_s + result.wall_s,
            simulated_cycles=self.measured.simulated_cycles + result.cycles,
            serial_cycles=serial,
            overlapping_cycles=overlapping,
        )
        return inferences
