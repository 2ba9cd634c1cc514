"""LOAD's time: weight vectors through what others leave of the weight memory's port."""

from celosia.golden.config import NpuConfig
from celosia.golden.isa import LoadDepthwise, LoadWeights
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import PortShare, Process
from celosia.golden.timing.ordering import InstructionQueue
from celosia.golden.timing.records import Records
from celosia.golden.timing.weights import LoadedWeights

START_CYCLES = 1
"""From taking an instruction to its first read."""
VECTORS_AHEAD = 3
"""Vectors that wait between memory and engine: the places of `ResponseBuffer`."""
LAST_CYCLES = 3
"""From reading the last vector until the weights are complete: memory, the register behind it, and
the engine's flag."""


class LoadTiming:
    """Reads weights, as `celosia.hdl.npu.load_unit.LoadUnit` does."""

    def __init__(
        self,
        config: NpuConfig,
        queue: InstructionQueue,
        tiles: LoadedWeights,
        sets: LoadedWeights,
        port: PortShare,
        records: Records,
    ) -> None:
        self._rows = config.rows
        self._queue = queue
        self._tiles = tiles
        self._sets = sets
        self._port = port
        self._records = records
        self._free = 0  # the cycle after the last read
        self.idle = 0
        """First cycle from which on nothing is under way."""

    def run(self) -> Process:
        """Execute instruction after instruction."""
        while True:
            while (head := self._queue.head()) is None:
                yield self._queue.filled
            instruction, offered = head
            # The next instruction is taken in the cycle of the last read.
            start = max(offered, self._free - 1)
            self._queue.take(start)
            self._free = start + START_CYCLES
            if isinstance(instruction, LoadDepthwise):
                yield from self._load(self._sets, instruction.vectors)
            else:
                assert isinstance(instruction, LoadWeights)
                for _ in range(instruction.tiles):
                    yield from self._load(self._tiles, self._rows)

    def _load(self, weights: LoadedWeights, vectors: int) -> Process:
        """A tile or a set, as far as it may be read before those before it are in use."""
        ahead = min(vectors, VECTORS_AHEAD)
        entrance = weights.entrance
        if entrance is None or entrance >= self._free + ahead:
            self._free = yield from self._port.grants(self._free, ahead)
            while (entrance := weights.entrance) is None:
                yield weights.freed
            self._free = max(self._free, entrance + 1)
            self._free = yield from self._port.grants(self._free, vectors - ahead)
        else:
            self._free = yield from self._port.grants(self._free, vectors)
        complete = max(self._free - 1 + LAST_CYCLES, entrance + vectors)
        weights.complete(complete)
        self._records.spend(Counter.LOAD_BUSY, complete - vectors, complete)
        self.idle = complete
