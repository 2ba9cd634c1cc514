"""The golden machine as a device."""

import time
from collections.abc import Sequence

from celosia.compiler.golden_run import load_machine, read_outputs, write_inputs
from celosia.compiler.program import Program
from celosia.runtime.device import Inference, Measured, Write


class GoldenDevice:
    """Runs a program on the golden machine, instruction by instruction; cycles are modelled."""

    cycles_source = "model"

    def __init__(self, program: Program) -> None:
        self._program = program
        self._machine = load_machine(program)
        self.measured = Measured()

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, which are the host's writes."""
        begin = time.perf_counter()
        inferences = [self._infer(writes) for writes in inputs]
        self.measured = Measured(wall_s=self.measured.wall_s + time.perf_counter() - begin)
        return inferences

    def _infer(self, writes: Sequence[Write]) -> Inference:
        write_inputs(self._machine, writes)
        self._machine.run(self._program.start)
        modelled = self._program.modelled
        reads = read_outputs(self._machine, self._program)
        return Inference(reads, modelled.counters, modelled.marks)
