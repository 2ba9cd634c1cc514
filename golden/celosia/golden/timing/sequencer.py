"""SEQUENCER's time: fetching, and full queues."""

from collections.abc import Iterable, Mapping

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Halt, Instruction, Unit
from celosia.golden.timing.clockwork import Claims, Process
from celosia.golden.timing.ordering import InstructionQueue

DISPATCH_CYCLES = 1
"""From the last read of an instruction's vectors, beside their latency, to its dispatch."""
REFETCH_CYCLES = 2
"""From dispatch to the next instruction's first read."""


def memory_latency(config: NpuConfig) -> int:
    """Cycles from a read to its answer, where nothing buffers it (`VectorMemory.latency`)."""
    return 1 if config.compact else 2


class SequencerTiming:
    """Fetches instructions, as `celosia.hdl.npu.sequencer.Sequencer` does."""

    def __init__(
        self,
        config: NpuConfig,
        program: Iterable[Instruction],
        queues: Mapping[Unit, InstructionQueue],
        claims: Claims,
    ) -> None:
        self._vectors = config.instruction_vectors
        self._fetch = self._vectors - 1 + memory_latency(config) + DISPATCH_CYCLES
        self._program = program
        self._queues = queues
        self._claims = claims
        self.halted = 0
        """The cycle in which HALT begins to wait for the units."""

    def run(self) -> Process:
        """Dispatch the program."""
        fetch = 0
        for instruction in self._program:
            yield fetch
            self._claims.add(fetch, fetch + self._vectors)
            dispatch = fetch + self._fetch
            if isinstance(instruction, Halt):
                self.halted = dispatch + 1
                return
            queue = self._queues[instruction.unit()]
            while (room := queue.room()) is None:
                yield queue.emptied
            dispatch = max(dispatch, room)
            queue.put(instruction, dispatch)
            while (left := queue.left(dispatch)) is None:
                yield queue.emptied
            fetch = left + REFETCH_CYCLES
