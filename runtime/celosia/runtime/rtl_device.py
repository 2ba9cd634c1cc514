"""The RTL in Verilator as a device."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from celosia.compiler.program import Program, Write
from celosia.golden.memory_map import Region
from celosia.runtime.device import Inference, Measured
from celosia.runtime.host_schedule import OverlappingRuns, SerialRun
from celosia.sim.host_script import STATE_WORDS, HostScript, state_of
from celosia.sim.npu_simulation import NpuSimulation, ScriptResult
from celosia.sim.verilator_build import Visibility


class Hung(Exception):
    """The NPU did not come to its HALT; the message says what every unit was doing."""


class RtlDevice:
    """Builds the RTL for a program's configuration and runs the program in it.

    `waves` names an FST file that the next `run` writes. `visibility` is for benchmarks.
    """

    cycles_source = "rtl"

    def __init__(
        self, program: Program, *, waves: Path | None = None, visibility: Visibility = "ports"
    ) -> None:
        self._program = program
        self._waves = waves
        self._simulation = NpuSimulation(
            program.config, trace_fst=waves is not None, visibility=visibility
        )
        self.measured = Measured(build_s=self._simulation.build_s)

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, all in one simulation.

        The first run stands alone. If the program has two entries the transfers of the others
        overlap with computation.

        Raises:
            Hung: a run did not end.
        """
        script = HostScript(self._program.config)
        runs = Runs(self._program, script, inputs)
        result = self._simulation.run(script, waves=self._waves)
        inferences = runs.inferences(result)
        serial, overlapping = runs.cycles(result)
        self.measured = Measured(
            build_s=self.measured.build_s,
            wall_s=self.measured.wall_s + result.wall_s,
            simulated_cycles=self.measured.simulated_cycles + result.cycles,
            serial_cycles=serial,
            overlapping_cycles=overlapping,
        )
        return inferences


class Runs:
    """Appends to a script: load the program, then run it once for each element of `inputs`."""

    def __init__(
        self, program: Program, script: HostScript, inputs: Sequence[Sequence[Write]]
    ) -> None:
        image = np.frombuffer(program.image, np.uint8).reshape(-1, program.config.columns)
        script.write_vectors(Region.WEIGHTS, 0, image)
        alone = inputs[:1] if program.overlapping else inputs
        self._serial = [SerialRun(program, script, writes) for writes in alone]
        self._overlapping: OverlappingRuns | None = None
        self._rest = len(inputs) - len(alone)
        if program.overlapping:
            # Where there is only one input its run is measured again.
            rest = inputs[1:] or inputs
            self._overlapping = OverlappingRuns(program, script, rest, first=1)

    def inferences(self, result: ScriptResult) -> list[Inference]:
        """What each run left behind. Raises Hung where one did not end."""
        if result.timed_out:
            state = state_of(result.answers[-STATE_WORDS:])
            raise Hung(f"the NPU did not finish: {state.describe()}")
        inferences = [run.inference(result.answers) for run in self._serial]
        if self._overlapping is not None:
            inferences += self._overlapping.inferences(result.answers)[: self._rest]
        return inferences

    def cycles(self, result: ScriptResult) -> tuple[int, int | None]:
        """Cycles of a run with its transfers: one after another, and overlapping if they do."""
        overlapping = None
        if self._overlapping is not None:
            overlapping = self._overlapping.cycles(result.answers)
        return self._serial[0].cycles(result.answers), overlapping
