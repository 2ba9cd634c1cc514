"""POST's time: what starts when, and how long each instruction takes."""

from collections import deque
from collections.abc import Callable, Generator
from math import prod
from typing import Any

from celosia.golden.config import NpuConfig
from celosia.golden.isa import (
    Add,
    Drain,
    Elementwise,
    Instruction,
    LoadParameters,
    LoadTable,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
)
from celosia.golden.machine.loops import LoopNest
from celosia.golden.memory_map import Counter
from celosia.golden.rounding import FLOAT_MODES
from celosia.golden.timing.clockwork import Condition, PortShare, Process
from celosia.golden.timing.ordering import InstructionQueue, Semaphores
from celosia.golden.timing.records import Records

Work = Generator[int | Condition, None, int]
"""An instruction that shares a port; it returns the cycle of its last write."""

SETTINGS = (PostLoop, PostInput, PostOutput, PostScale)
"""Instructions of one cycle."""
TAP_CYCLES = 3
"""From the arrival of a window's last tap, through the registers behind the memory and of
`TapReducer`, to what that made of it."""
CONSTANT_CYCLES = 2
"""From reading a plane or table entries until they are written; 1 where POST is bit-serial."""
REQUEST_CYCLES = 2
"""From offering a read to asking the scratchpad: a queue."""
GENERATOR_CYCLES = 1
"""What POOL's address generator takes beside the cycle of any reader."""
STORE_CYCLES = 1
"""From the last beat of a vector to its write (`LaneCollector`)."""
WINDOW_LEVELS, VECTOR_LEVEL = (0, 1), 2
"""POOL's loop levels within a window, and the one that counts its vectors."""
BIT_SERIAL_CYCLES = 49
"""Of a bit-serial POST's second half, which rounds and sends."""


def requantizer_latency(config: NpuConfig) -> int:
    """Cycles from a beat to its results: `latency` of the requantisers, and what is left of
    `SerialDrain.LATENCY` behind an output's first 65 cycles."""
    if config.is_bit_serial:
        return BIT_SERIAL_CYCLES
    if config.requantizer_cycles > 1:
        return config.requantizer_cycles + 5
    return 14 if config.modes & FLOAT_MODES else 11


def feed_latency(config: NpuConfig) -> int:
    """Cycles from a vector to its first beat (`LATENCY` of `LaneFeed` and `SumFeed`)."""
    return 3 if config.vector_operations else 1


def drain_latency(config: NpuConfig) -> int:
    """Cycles from a DRAIN's start to its first vector: the reader's first address, the
    accumulators, and the register behind them."""
    return 2 if config.compact else 3


class PostTiming:
    """Executes POST's instructions, as `celosia.hdl.npu.post_unit.PostUnit` does."""

    def __init__(
        self,
        config: NpuConfig,
        queue: InstructionQueue,
        semaphores: Semaphores,
        weights: PortShare,
        scratchpad: PortShare,
        records: Records,
    ) -> None:
        self._config = config
        self._queue = queue
        self._semaphores = semaphores
        self._weights = weights
        self._scratchpad = scratchpad
        self._records = records
        self._beats = config.vector_cycles
        self._tail = feed_latency(config) + requantizer_latency(config) + STORE_CYCLES
        self._nest = LoopNest()
        self._free = 0  # nothing is at work from this cycle on
        self._free_before = 0  # the same of all but the last instruction
        self._next_drain: int | None = None
        self._next_output = 0  # of a bit-serial POST, whose outputs all take a whole period
        self._work: dict[type[Instruction], Callable[[Any, int], int | Work]] = {
            LoadParameters: self._load_parameters,
            LoadTable: self._load_table,
            Drain: self._drain,
            Add: self._elementwise,
            Mul: self._elementwise,
            Pool: self._pool,
        }
        self.idle = 0
        """First cycle from which on nothing is at work or being signalled."""

    def run(self) -> Process:
        """Execute instruction after instruction."""
        following = 0  # the cycle after the last instruction was taken
        while True:
            while (head := self._queue.head()) is None:
                yield self._queue.filled
            instruction, offered = head
            while (granted := self._semaphores.granted(instruction.wait)) is None:
                yield self._semaphores.changed
            start = self._free
            if isinstance(instruction, Drain) and self._next_drain is not None:
                start = max(self._next_drain, self._free_before)
            begin = max(offered, following, start, granted)
            if instruction.wait:
                waiting = max(offered, following, self._free)
                self._records.spend(Counter.POST_WAIT, waiting, begin)
            yield begin
            self._queue.take(begin)
            self._semaphores.take(instruction.wait)
            following = begin + 1
            yield from self._execute(instruction, begin)

    def _execute(self, instruction: Instruction, begin: int) -> Process:
        work = self._work.get(type(instruction))
        done = begin
        if work is None:
            if not isinstance(instruction, SETTINGS):
                raise AssertionError(f"{instruction} has no timing")
            if isinstance(instruction, PostLoop):
                self._nest.set_level(instruction)
        else:
            self._next_drain = None
            written = work(instruction, begin)
            done = written if isinstance(written, int) else (yield from written)
            self._free_before, self._free = self._free, done + 1
        self._records.spend(Counter.POST_BUSY, begin, done + 1)
        self._semaphores.signal(instruction.signal, done + 1)
        if instruction.mark:
            self._records.mark(done)
        self.idle = done + 1

    def _load_parameters(self, load: LoadParameters, begin: int) -> Work:
        """A plane a cycle."""
        asked = yield from self._weights.grants(begin + 1, load.planes)
        return asked - 1 + (1 if self._config.is_bit_serial else CONSTANT_CYCLES)

    def _load_table(self, load: LoadTable, begin: int) -> Work:
        """An entry a cycle; three vectors of them may wait."""
        per_vector = self._config.table_entries_per_vector
        asked = begin + 1
        written = deque([begin] * 3, maxlen=3)  # the cycles after the last entries of vectors
        for _ in range(self._config.table_vectors):
            asked = yield from self._weights.grants(max(asked, written[0]), 1)
            written.append(max(asked - 1 + CONSTANT_CYCLES, written[-1]) + per_vector)
        return written[-1] - 1

    def _drain(self, drain: Drain, begin: int) -> int:
        """`vector_cycles` a vector; the next DRAIN may follow before the last is stored."""
        beats = drain.rows * drain.columns * drain.vectors * self._beats
        first = begin + drain_latency(self._config)
        if self._config.is_bit_serial:
            first = max(first, self._next_output)
            self._next_output = first + beats + self._config.requantizer_cycles
        else:
            # When the last vector has left the accumulators and taken its last address.
            self._next_drain = first + beats
        return first + beats - 1 + self._tail

    def _elementwise(self, instruction: Elementwise, begin: int) -> Work:
        """Two reads a vector, or `vector_cycles`."""
        return (yield from self._reduce(begin, instruction.count, 2, 0))

    def _pool(self, pool: Pool, begin: int) -> Work:
        """A read for each tap, or `vector_cycles` a vector."""
        vectors = pool.rows * pool.columns * self._nest.count(VECTOR_LEVEL)
        taps = prod(self._nest.count(level) for level in WINDOW_LEVELS)
        return (yield from self._reduce(begin, vectors, taps, GENERATOR_CYCLES))

    def _reduce(self, begin: int, vectors: int, taps: int, delay: int) -> Work:
        """Windows of `taps` reads, in the cycles that MATRIX leaves of the scratchpad's port."""
        first = begin + 1 + delay + REQUEST_CYCLES
        end = first + (vectors - 1) * max(taps, self._beats) + taps
        yield end
        if not self._scratchpad.taken(first, end):
            return end + TAP_CYCLES + self._beats - 1 + self._tail
        last = yield from self._reduce_beside(first, vectors, taps)
        return last + self._tail

    def _reduce_beside(self, first: int, vectors: int, taps: int) -> Work:
        """The same read by read, where MATRIX reads as well; returns the cycle of the last beat.

        Three answers may wait for the reducer, and a tap inside it, which if it is a final one
        waits for the beats of the window before.
        """
        request, beat = first, first
        reduced = first  # the cycle in which the tap before left the reducer's first register
        accepted = deque([first] * 3, maxlen=3)  # the cycles after the last three were taken
        for _ in range(vectors):
            for tap in range(taps):
                request = yield from self._scratchpad.grants(max(request, accepted[0]), 1)
                taken = max(request + 1, reduced)
                accepted.append(taken + 1)
                reduced = max(taken + 1, beat if tap == taps - 1 else 0)
            beat = reduced + self._beats
        return beat
