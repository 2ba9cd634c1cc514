"""LOAD's time: weight vectors through what others leave of the weight memory's port."""

from collections.abc import Generator

from celosia.golden.config import NpuConfig
from celosia.golden.isa import LoadDepthwise, LoadWeights
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import Condition, PortShare, Process
from celosia.golden.timing.ordering import InstructionQueue
from celosia.golden.timing.records import Records
from celosia.golden.timing.tiles import Tiles

START_CYCLES = 1
"""From taking an instruction to its first read."""
ROWS_AHEAD = 2
"""Vectors that wait between memory and engine: the places of `ResponseBuffer`."""
ROW_CYCLES = 2
"""From the read of a tile's last row until the tile is complete: memory, and the engine's flag."""


class LoadTiming:
    """Reads tiles, and sets of depthwise weights, as `celosia.hdl.npu.load_unit.LoadUnit` does."""

    def __init__(
        self,
        config: NpuConfig,
        queue: InstructionQueue,
        tiles: Tiles,
        sets: Tiles,
        port: PortShare,
        records: Records,
    ) -> None:
        self._rows = config.rows
        self._queue = queue
        self._tiles = tiles
        self._sets = sets
        self._port = port
        self._records = records
        self.idle = 0
        """First cycle from which on nothing is under way."""

    def run(self) -> Process:
        """Load tile after tile."""
        queue = self._queue
        free = 0  # the cycle after the last read
        while True:
            while (head := queue.head()) is None:
                yield queue.filled
            instruction, offered = head
            # The next instruction is taken in the cycle of the last read.
            start = max(offered, free - 1)
            queue.take(start)
            free = start + START_CYCLES
            if isinstance(instruction, LoadDepthwise):
                free = yield from self._load(self._sets, instruction.vectors, free)
            else:
                assert isinstance(instruction, LoadWeights)
                for _ in range(instruction.tiles):
                    free = yield from self._load(self._tiles, self._rows, free)

    def _load(self, tiles: Tiles, vectors: int, free: int) -> Generator[int | Condition, None, int]:
        """Read one tile or set from cycle `free` on; returns the cycle after its last read."""
        if tiles.open is None:
            ahead = min(ROWS_AHEAD, vectors)
            free = yield from self._port.grants(free, ahead)
            while tiles.open is None:
                yield tiles.freed
            free = max(free, tiles.open + 1)
            if vectors > ahead:
                free = yield from self._port.grants(free, vectors - ahead)
        else:
            free = yield from self._port.grants(free, vectors)
        complete = free - 1 + ROW_CYCLES
        tiles.complete(complete)
        self._records.spend(Counter.LOAD_BUSY, complete - vectors, complete)
        self.idle = complete
        return free
