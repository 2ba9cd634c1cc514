"""The golden machine as a device."""

import time
from collections.abc import Sequence

from celosia.compiler.golden_run import load_machine
from celosia.compiler.program import Program
from celosia.runtime.device import Inference, Measured, Write


class GoldenDevice:
    """Runs a program on the golden machine, instruction by instruction, without counting cycles."""

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
        scratchpad = self._machine.scratchpad
        for address, vectors in writes:
            scratchpad[address : address + len(vectors)] = vectors
        self._machine.run(self._program.start)
        return Inference(
            [
                scratchpad[port.address : port.address + port.vectors(self._program.config)].copy()
                for port in self._program.outputs
            ]
        )
