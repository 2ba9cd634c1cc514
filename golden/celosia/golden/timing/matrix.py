"""MATRIX's time: activation vectors, the tiles that they wait for, and the sums they leave."""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from math import prod

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import (
    Depthwise,
    DepthwiseWindow,
    Instruction,
    Matmul,
    MatrixLoop,
    Semaphore,
)
from celosia.golden.machine.loops import LoopNest
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import Claims, Clock, Condition, Process
from celosia.golden.timing.depthwise import DepthwiseTiming, StripRun
from celosia.golden.timing.ordering import UPDATE_CYCLES, InstructionQueue, Semaphores
from celosia.golden.timing.records import Records
from celosia.golden.timing.tiles import Tiles

PASS_LEVELS = (2, 3, 4)
"""Loop levels above the pixels: a weight tile for each of their iterations."""
FIRST_VECTOR_CYCLES = 3
"""From taking a MATMUL to offering its first vector: two of the address generator, one memory."""
POSITIONS_AHEAD = 3
"""Positions that have left the loop counters when a vector is taken: two are with the memory, one
waits for it. The next instruction may be taken when the last one leaves."""


def array_latency(config: NpuConfig) -> int:
    """Cycles from an activation vector to its sums (`SystolicArray.latency`)."""
    return config.rows + config.columns + 1


@dataclass(frozen=True)
class _Run:
    """A MATMUL or DEPTHWISE taken in cycle `begin`; `waits` are (reason, first cycle, end)."""

    work: Matmul | StripRun
    begin: int
    passes: int
    pixels: int
    waits: tuple[tuple[Counter, int, int], ...]

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
        depthwise: DepthwiseTiming,
        claims: Claims,
        records: Records,
    ) -> None:
        self._latency = array_latency(config)
        self._queue = queue
        self._semaphores = semaphores
        self._tiles = tiles
        self._depthwise = depthwise
        self._claims = claims
        self._records = records
        self._nest = LoopNest()
        self._runs: deque[_Run] = deque()
        self._issued = Condition(clock, work=True)
        self._left_counters: int | None = None
        """When the last position of the latest run left the counters, once that is known."""
        self._left = Condition(clock)
        self._idle = 0
        self._sums_end = 0  # when the array's last sum was taken

    def issue(self) -> Process:
        """Take instruction after instruction."""
        free = 0
        waits = []
        window: DepthwiseWindow | None = None
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
            run: _Run | None = None
            match instruction:
                case Matmul():
                    passes = prod(self._nest.count(level) for level in PASS_LEVELS)
                    pixels = instruction.rows * instruction.columns
                    run = _Run(instruction, begin, passes, pixels, tuple(waits))
                case Depthwise():
                    if window is None:
                        raise CelosiaError("the depthwise window must be set before DEPTHWISE")
                    vectors = instruction.strip_rows * instruction.strip_columns
                    strip = StripRun(instruction, window, begin)
                    run = _Run(strip, begin, 1, vectors, tuple(waits))
                case DepthwiseWindow():
                    window = instruction
                case MatrixLoop():
                    self._nest.set_level(instruction)
            if run is None:
                self._semaphores.signal(instruction.signal, begin + 1)
                continue
            self._left_counters = None
            self._runs.append(run)
            self._issued.notify()
            waits.clear()
            while (left := self._left_counters) is None:
                yield self._left
            free = left

    def stream(self) -> Process:
        """Run after run."""
        records = self._records
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
            decisive = run.vectors - POSITIONS_AHEAD - 1  # this vector's taking frees the counters
            if decisive < 0:
                self._leave(run, previous)
            if isinstance(run.work, Matmul):
                end = yield from self._matmul(run, run.work, offered, decisive)
            else:
                end = yield from self._strip(run, run.work, offered, decisive)
            previous = end - POSITIONS_AHEAD

    def _matmul(
        self, run: _Run, matmul: Matmul, offered: int, decisive: int
    ) -> Generator[int | Condition, None, int]:
        """Pass after pass waits for its tile, then takes a vector a cycle; returns the end."""
        tiles, records = self._tiles, self._records
        # The accumulators take sums in program order.
        yield from self._depthwise.finish()
        held = max(offered, self._depthwise.sums_end + 1 - self._latency)
        records.spend(Counter.MATRIX_WEIGHTS, offered, held)
        offered = held
        for number in range(run.passes):
            while (complete := tiles.next_complete()) is None:
                yield tiles.loaded
            first = max(offered, complete)
            tiles.use(first)
            self._claims.add(first - 1, first - 1 + run.pixels)
            records.spend(Counter.MATRIX_WEIGHTS, offered, first)
            offered = first + run.pixels
            records.spend(Counter.MATRIX_BUSY, first, offered)
            if number * run.pixels <= decisive < (number + 1) * run.pixels:
                self._leave(run, first + decisive - number * run.pixels + 1)
        self._sums_end = offered - 1 + self._latency
        self._idle = self._sums_end + UPDATE_CYCLES + 1
        self._semaphores.signal(matmul.signal, self._idle)
        return offered

    def _strip(
        self, run: _Run, strip: StripRun, offered: int, decisive: int
    ) -> Generator[int | Condition, None, int]:
        """Column after column, as the depthwise engine has room for them; returns the end."""
        spans = yield from self._depthwise.load(strip, offered, self._sums_end)
        rows = strip.instruction.strip_rows
        if decisive >= 0:
            self._leave(run, spans[decisive // rows][0] + decisive % rows + 1)
        end = spans[-1][1]
        self._records.spend(Counter.MATRIX_MEMORY, offered, end)
        return end

    @property
    def idle(self) -> int:
        """First cycle from which on nothing is under way, sums included."""
        return max(self._idle, self._depthwise.idle)

    def _leave(self, run: _Run, cycle: int) -> None:
        """The last position leaves the counters in a cycle, or when its turn comes."""
        self._left_counters = max(run.begin + run.vectors, cycle)
        self._left.notify()


def _reason(instruction: Instruction) -> Counter:
    """What it counts as that an instruction waits for its semaphores."""
    if instruction.wait & Semaphore.STORED:
        return Counter.MATRIX_DEPENDENCY
    return Counter.MATRIX_ACCUMULATORS
