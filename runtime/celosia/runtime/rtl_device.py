"""The RTL in Verilator as a device."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Program
from celosia.golden.memory_map import Counter, Region, Status
from celosia.runtime.device import Inference, Measured, Write
from celosia.sim.host_script import HostScript, state_of
from celosia.sim.npu_simulation import NpuSimulation
from celosia.sim.verilator_build import Visibility

PATIENCE = 20
"""A run may take this many times the compiler's estimate, and some, before it counts as hung."""


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

        Raises:
            Hung: a run did not end.
        """
        script = HostScript(self._program.config)
        runs = write_runs(self._program, script, inputs)
        result = self._simulation.run(script, waves=self._waves)
        self.measured = Measured(
            self.measured.build_s,
            self.measured.wall_s + result.wall_s,
            self.measured.simulated_cycles + result.cycles,
        )
        return [run.read(script, result.answers) for run in runs]


class _Run:
    """Where one run's answers lie among the script's."""

    def __init__(self, program: Program, script: HostScript, writes: Sequence[Write]) -> None:
        for address, vectors in writes:
            script.write_vectors(Region.SCRATCHPAD, address, vectors)
        script.start(program.start)
        estimate = sum(layer.estimated_cycles for layer in program.layers)
        limit = min(PATIENCE * estimate + 100_000, (1 << 32) - 1)
        self._state = script.wait(Status.DONE, limit)
        self._marks = script.read_vectors(Region.PROFILE, 0, _kept_layers(program))
        self._outputs = [
            script.read_vectors(Region.SCRATCHPAD, port.address, port.vectors(program.config))
            for port in program.outputs
        ]

    def read(self, script: HostScript, answers: NDArray[np.uint32]) -> Inference:
        """The run's result. Raises Hung where it did not end."""
        words = answers[self._state]
        state = state_of(words)
        if not state.done:
            raise Hung(f"the NPU did not finish: {state.describe()}")
        return Inference(
            reads=[
                script.vectors(Region.SCRATCHPAD, answers[place], np.int8)
                for place in self._outputs
            ],
            counters=state.counters,
            marks=[
                {counter: int(entry[counter]) for counter in Counter}
                for entry in script.vectors(Region.PROFILE, answers[self._marks], np.uint32)
            ],
        )


def write_runs(
    program: Program, script: HostScript, inputs: Sequence[Sequence[Write]]
) -> list[_Run]:
    """Append to a script: load the program, then run it once for each element of `inputs`."""
    image = np.frombuffer(program.image, np.uint8).reshape(-1, program.config.columns)
    script.write_vectors(Region.WEIGHTS, 0, image)
    return [_Run(program, script, values) for values in inputs]


def _kept_layers(program: Program) -> int:
    return min(len(program.layers), program.config.profile_depth)
