"""MATRIX's time: activation vectors, the tiles that they wait for, and the sums they leave."""

from collections import deque
from dataclasses import dataclass
from math import prod

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Instruction, Matmul, MatrixLoop, Semaphore
from celosia.golden.machine.loops import LoopNest
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import Claims, Clock, Condition, Process
from celosia.golden.timing.ordering import InstructionQueue, Semaphores
from celosia.golden.timing.records import Records
from celosia.golden.timing.tiles import Tiles

PASS_LEVELS = (2, 3, 4)
"""Loop levels above the pixels: a weight tile for each of their iterations."""
FIRST_VECTOR_CYCLES = 3
"""From taking a MATMUL to offering its first vector: two of the address generator, one memory."""
POSITIONS_AHEAD = 3
"""Positions that have left the loop counters when a vector is taken: two are with the memory, one
waits for it. The next instruction may be taken when the last one leaves."""
UPDATE_CYCLES = 4
"""From taking a sum until the accumulators hold it (`celosia.hdl.npu.accumulators`)."""


def array_latency(config: NpuConfig) -> int:
    """Cycles from an activation vector to its sums (`SystolicArray.latency`)."""
    return config.rows + config.columns + 1


@dataclass(frozen=True)
class _Run:
    """A MATMUL that was taken in cycle `begin`; `waits` are (reason, first cycle, end)."""

    matmul: Matmul
    begin: int
    passes: int
    waits: tuple[tuple[Counter, int, int], ...]

    @property
    def pixels(self) -> int:
        """Vectors of a pass."""
        return self.matmul.rows * self.matmul.columns

    @property
    def vectors(self) -> int:
        """Vectors of all passes."""
        return self.passes * self.pixels


class MatrixTiming:
    """Executes MATRIX's instructions, as `celosia.hdl.npu.matrix_unit.MatrixUnit` does.

    Two processes: one takes instructions, as soon as the loop counters are free; the other one
    streams the vectors, which the engine may hold up.
    """

    def __init__(
        self,
        config: NpuConfig,
        clock: Clock,
        queue: InstructionQueue,
        semaphores: Semaphores,
        tiles: Tiles,
        claims: Claims,
        records: Records,
    ) -> None:
        self._sums_cycles = array_latency(config) + UPDATE_CYCLES
        self._queue = queue
        self._semaphores = semaphores
        self._tiles = tiles
        self._claims = claims
        self._records = records
        self._nest = LoopNest()
        self._runs: deque[_Run] = deque()
        self._issued = Condition(clock, work=True)
        self._left_counters: int | None = None
        """When the last position of the latest run left the counters, once that is known."""
        self._left = Condition(clock)
        self.idle = 0
        """First cycle from which on nothing is under way, sums included."""

    def issue(self) -> Process:
        """Take instruction after instruction."""
        free = 0
        waits = []
        while True:
            while (head := self._queue.head()) is None:
                yield self._queue.filled
            instruction, offered = head
            while (granted := self._semaphores.granted(instruction.wait)) is None:
                yield self._semaphores.changed
            begin = max(offered, free, granted)
            if instruction.wait:
                waits.append((_reason(instruction), offered, begin))
            self._queue.take(begin)
            self._semaphores.take(instruction.wait)
            free = begin + 1
            if isinstance(instruction, Matmul):
                passes = prod(self._nest.count(level) for level in PASS_LEVELS)
                self._left_counters = None
                self._runs.append(_Run(instruction, begin, passes, tuple(waits)))
                self._issued.notify()
                waits.clear()
                while (left := self._left_counters) is None:
                    yield self._left
                free = left
            else:
                if isinstance(instruction, MatrixLoop):
                    self._nest.set_level(instruction)
                self._semaphores.signal(instruction.signal, begin + 1)

    def stream(self) -> Process:
        """Run after run, pass after pass: each waits for its tile, then takes a vector a cycle."""
        tiles, records = self._tiles, self._records
        end = 0  # the cycle after the last vector was taken
        previous = 0  # the same of the last vector but POSITIONS_AHEAD
        while True:
            while not self._runs:
                yield self._issued
            run = self._runs.popleft()
            for reason, first, last in run.waits:
                records.spend(reason, max(first, end), last)
            offered = max(run.begin + FIRST_VECTOR_CYCLES, end)
            records.spend(Counter.MATRIX_MEMORY, max(run.begin, end), offered)
            pixels = run.pixels
            decisive = run.vectors - POSITIONS_AHEAD - 1  # this vector's taking frees the counters
            if decisive < 0:
                self._leave(run, previous)
            for number in range(run.passes):
                while (complete := tiles.next_complete()) is None:
                    yield tiles.loaded
                first = max(offered, complete)
                tiles.use(first)
                self._claims.add(first - 1, first - 1 + pixels)
                records.spend(Counter.MATRIX_WEIGHTS, offered, first)
                offered = first + pixels
                records.spend(Counter.MATRIX_BUSY, first, offered)
                if number * pixels <= decisive < (number + 1) * pixels:
                    self._leave(run, first + decisive - number * pixels + 1)
            end = offered
            previous = end - POSITIONS_AHEAD
            self.idle = end + self._sums_cycles
            self._semaphores.signal(run.matmul.signal, self.idle)

    def _leave(self, run: _Run, cycle: int) -> None:
        """The last position leaves the counters in a cycle, or when its turn comes."""
        self._left_counters = max(run.begin + run.vectors, cycle)
        self._left.notify()


def _reason(instruction: Instruction) -> Counter:
    """What it counts as that an instruction waits for its semaphores."""
    if instruction.wait & Semaphore.STORED:
        return Counter.MATRIX_DEPENDENCY
    return Counter.MATRIX_ACCUMULATORS
