"""The golden machine as a device."""

import time
from collections.abc import Sequence

from celosia.compiler.golden_run import load_machine, read_outputs, write_inputs
from celosia.compiler.program import Program, Write
from celosia.golden.machine import AnalogTiles
from celosia.runtime.crossbar.programming import ProductCounts
from celosia.runtime.device import Inference, Measured, TilesRun


class GoldenDevice:
    """Runs a program on the golden machine, instruction by instruction; cycles are modelled.

    Crossbar tiles are exact where `tiles` don't say what became of them; pieces of a network are
    given the same ones.
    """

    cycles_source = "model"

    def __init__(self, program: Program, tiles: AnalogTiles | None = None) -> None:
        self._program = program
        self._engine = tiles
        self._machine = load_machine(program, tiles=self._engine)
        self.measured = Measured()
        self.tiles: TilesRun | None = None

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, by its entries in turn."""
        begin = time.perf_counter()
        inferences = [self._infer(number, writes) for number, writes in enumerate(inputs)]
        self.measured = Measured(wall_s=self.measured.wall_s + time.perf_counter() - begin)
        if self._engine is not None:
            self.tiles = tiles_run(self._engine)
        return inferences

    def _infer(self, number: int, writes: Sequence[Write]) -> Inference:
        program = self._program
        entry = number % len(program.starts)
        write_inputs(self._machine, program.writes_for(entry, writes))
        self._machine.run(program.starts[entry])
        modelled = program.modelled
        reads = read_outputs(self._machine, program, entry)
        return Inference(reads, modelled.counters, modelled.marks)


def tiles_run(tiles: AnalogTiles) -> TilesRun:
    """What became of the golden machine's crossbar tiles so far."""
    counts = tiles.multiplier.telemetry
    return TilesRun(
        ProductCounts(counts.products - counts.probes, counts.reissues, counts.saturations)
    )
