"""MATRIX's time: vectors on their way to the engines, and what they wait for."""

from collections import deque
from math import prod

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import (
    Depthwise,
    DepthwiseWindow,
    Instruction,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Product,
    Semaphore,
)
from celosia.golden.machine.loops import LoopNest
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import Claims, Clock, Condition, Process
from celosia.golden.timing.crossbar import FIRST_PRODUCT_CYCLES, product_cycles
from celosia.golden.timing.depthwise import StripLoading
from celosia.golden.timing.ordering import InstructionQueue, Semaphores
from celosia.golden.timing.records import Records
from celosia.golden.timing.runs import (
    READ_AHEAD_CYCLES,
    Run,
    first_vector_cycles,
    positions_ahead,
)
from celosia.golden.timing.sums import Standstill, Sums
from celosia.golden.timing.weights import LoadedWeights

PASS_LEVELS = (2, 3, 4)
"""Loop levels above the pixels: a weight tile for each of their iterations."""


def array_latency(config: NpuConfig) -> int:
    """Cycles from an activation vector to its sums (`latency` of the arrays)."""
    if config.is_bit_serial:
        return 3
    return config.rows + config.columns + 1


class MatrixTiming:
    """Executes MATRIX's instructions, as `celosia.hdl.npu.matrix_unit.MatrixUnit` does.

    Two processes: one takes instructions, as soon as the loop counters are free; the other one
    streams the vectors, which the engines may hold up.
    """

    def __init__(
        self,
        config: NpuConfig,
        clock: Clock,
        queue: InstructionQueue,
        semaphores: Semaphores,
        tiles: LoadedWeights,
        strips: StripLoading,
        sums: Sums,
        claims: Claims,
        records: Records,
    ) -> None:
        self._config = config
        self._ahead = positions_ahead(config)
        self._latency = array_latency(config)
        self._queue = queue
        self._semaphores = semaphores
        self._tiles = tiles
        self._strips = strips
        self._sums = sums
        self._claims = claims
        self._records = records
        self._nest = LoopNest()
        self._window: DepthwiseWindow | None = None
        self._waits: list[tuple[Counter, int, int]] = []
        self._runs: deque[Run] = deque()
        self._issued = Condition(clock, work=True)
        self._left_counters: int | None = None
        """When the last position of the latest run left the counters, once that is known."""
        self._left = Condition(clock)
        self._end = 0  # the cycle after the last vector was taken
        self.idle = 0
        """First cycle from which on nothing is under way, sums of the array included."""

    def issue(self) -> Process:
        """Take instruction after instruction."""
        free = 0
        while True:
            while (head := self._queue.head()) is None:
                yield self._queue.filled
            instruction, offered = head
            while (granted := self._semaphores.granted(instruction.wait)) is None:
                yield self._semaphores.changed
            begin = max(offered, free, granted)
            if instruction.wait:
                self._waits.append((_reason(instruction), offered, begin))
            self._queue.take(begin)
            self._semaphores.take(instruction.wait)
            free = begin + 1
            match instruction:
                case Matmul() | Depthwise() | Product():
                    self._left_counters = None
                    self._runs.append(self._run(instruction, begin))
                    self._issued.notify()
                    while (left := self._left_counters) is None:
                        yield self._left
                    free = left
                case MatrixLoop():
                    self._nest.set_level(instruction)
                case DepthwiseWindow():
                    self._window = instruction
                case MatrixInput():
                    pass
                case _:
                    raise AssertionError(f"{instruction} has no timing")
            if not isinstance(instruction, Matmul | Depthwise | Product):
                self._semaphores.signal(instruction.signal, begin + 1)

    def _run(self, instruction: Matmul | Depthwise | Product, begin: int) -> Run:
        waits = tuple(self._waits)
        self._waits.clear()
        if isinstance(instruction, Product):
            pixels = self._nest.count(3) * self._nest.count(4)
            taken = instruction.vectors * instruction.kernel_columns * self._nest.count(2)
            return Run(instruction, begin, pixels, taken, waits, self._ahead)
        if isinstance(instruction, Matmul):
            passes = prod(self._nest.count(level) for level in PASS_LEVELS)
            vectors = instruction.rows * instruction.columns
            return Run(instruction, begin, passes, vectors, waits, self._ahead)
        if self._window is None:
            raise CelosiaError("the window must be set before this instruction")
        vectors = instruction.strip_rows * instruction.strip_columns
        return Run(instruction, begin, 1, vectors, waits, self._ahead, self._window)

    def stream(self) -> Process:
        """Hand run after run to its engine."""
        records = self._records
        while True:
            while not self._runs:
                yield self._issued
            run = self._runs.popleft()
            for reason, first, last in run.waits:
                records.spend(reason, max(first, self._end), last)
            offered = max(run.begin + first_vector_cycles(self._config), self._end)
            start = max(run.begin, self._end)
            if run.decisive < 0:
                self._leave(run, self._end - run.ahead)
            if isinstance(run.instruction, Matmul):
                yield from self._multiply(run, offered)
            elif isinstance(run.instruction, Product):
                self._product(run, offered)
            else:
                self._end, decisive = yield from self._strips.load(run, offered)
                self._claims.add(offered - READ_AHEAD_CYCLES, self._end - READ_AHEAD_CYCLES)
                offered = self._end
                if run.decisive >= 0:
                    self._leave(run, decisive + 1)
            records.spend(Counter.MATRIX_MEMORY, start, offered)

    def _multiply(self, run: Run, offered: int) -> Process:
        """Pass after pass: each waits for its tile, then takes a vector a cycle."""
        tiles, records, vectors = self._tiles, self._records, run.vectors
        still = Standstill(0, 0)  # where the sums of what came before take longer
        for number in range(run.passes):
            while (complete := tiles.next_complete()) is None:
                yield tiles.loaded
            first = still.begin(max(offered, complete))
            tiles.use(first)
            if number == 0:
                while not self._sums.known:
                    yield self._sums.settled
                still = self._sums.standstill(first + self._latency)
            read = first - READ_AHEAD_CYCLES
            self._claims.add(read, read + vectors)
            records.spend(Counter.MATRIX_WEIGHTS, offered, first)
            over = still.over(first, first + vectors)
            if over > first + vectors:
                # A vector that waits counts for its weights, whatever holds the array up.
                records.spend(Counter.MATRIX_WEIGHTS, still.first, still.end)
            for part in still.around(first, over):
                records.spend(Counter.MATRIX_BUSY, *part)
            offered = over
            place = run.decisive - number * vectors
            if 0 <= place < vectors:
                self._leave(run, still.over(first, first + place + 1))
        self._end = offered
        last = still.over(offered - 1, offered - 1 + self._latency)
        self.idle = self._sums.take(last)
        self._semaphores.signal(run.instruction.signal, self.idle)

    def _product(self, run: Run, offered: int) -> None:
        """Product after product, as if no bit were issued twice: how many are depends on data."""
        each = product_cycles(self._config) + run.vectors
        end = offered + FIRST_PRODUCT_CYCLES + run.passes * each
        self._records.spend(Counter.MATRIX_CROSSBAR, offered, end)
        self._end = end
        self._leave(run, end)
        self.idle = self._sums.take(end)
        self._semaphores.signal(run.instruction.signal, self.idle)

    def _leave(self, run: Run, cycle: int) -> None:
        """The last position leaves the counters in a cycle, or when its turn comes."""
        self._left_counters = max(run.begin + run.passes * run.vectors, cycle)
        self._left.notify()


def _reason(instruction: Instruction) -> Counter:
    """What it counts as that an instruction waits for its semaphores."""
    if instruction.wait & Semaphore.STORED:
        return Counter.MATRIX_DEPENDENCY
    return Counter.MATRIX_ACCUMULATORS
