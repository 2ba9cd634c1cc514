"""LOAD's time: weight rows through what others leave of the weight memory's port."""

from celosia.golden.config import NpuConfig
from celosia.golden.isa import LoadWeights
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import PortShare, Process
from celosia.golden.timing.ordering import InstructionQueue
from celosia.golden.timing.records import Records
from celosia.golden.timing.tiles import Tiles

START_CYCLES = 1
"""From taking an instruction to its first read."""
ROWS_AHEAD = 2
"""Rows that wait between memory and engine: the places of `ResponseBuffer`."""
ROW_CYCLES = 2
"""From the read of a tile's last row until the tile is complete: memory, and the engine's flag."""


class LoadTiming:
    """Reads tiles, as `celosia.hdl.npu.load_unit.LoadUnit` does."""

    def __init__(
        self,
        config: NpuConfig,
        queue: InstructionQueue,
        tiles: Tiles,
        port: PortShare,
        records: Records,
    ) -> None:
        self._rows = config.rows
        self._queue = queue
        self._tiles = tiles
        self._port = port
        self._records = records
        self.idle = 0
        """First cycle from which on nothing is under way."""

    def run(self) -> Process:
        """Load tile after tile."""
        tiles, queue = self._tiles, self._queue
        free = 0  # the cycle after the last read
        while True:
            while (head := queue.head()) is None:
                yield queue.filled
            instruction, offered = head
            assert isinstance(instruction, LoadWeights)
            # The next instruction is taken in the cycle of the last read.
            start = max(offered, free - 1)
            queue.take(start)
            free = start + START_CYCLES
            for _ in range(instruction.tiles):
                if tiles.last_used is None:
                    free = yield from self._port.grants(free, ROWS_AHEAD)
                    while tiles.last_used is None:
                        yield tiles.freed
                    free = max(free, tiles.last_used + 1)
                    free = yield from self._port.grants(free, self._rows - ROWS_AHEAD)
                else:
                    free = yield from self._port.grants(free, self._rows)
                complete = free - 1 + ROW_CYCLES
                tiles.complete(complete)
                self._records.spend(Counter.LOAD_BUSY, complete - self._rows, complete)
                self.idle = complete
