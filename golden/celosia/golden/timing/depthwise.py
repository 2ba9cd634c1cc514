"""The depthwise engine's time: columns that fill a ring, and steps over the windows in it."""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Depthwise, DepthwiseWindow
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import Claims, Clock, Condition, Process
from celosia.golden.timing.ordering import UPDATE_CYCLES, Semaphores
from celosia.golden.timing.records import Records
from celosia.golden.timing.tiles import Tiles

JOB_CYCLES = 2
"""A job's way through a queue: in front of the loader, and between it and the walker."""
COLUMN_CYCLES = 2
"""From taking a column's last vector until a step can read it (`StripLoader`)."""
SUM_CYCLES = 5
"""From an output's last step until its sum is taken."""

Loading = Generator["int | Condition", None, list[tuple[int, int]]]
"""A strip that is being loaded; it returns the spans of its columns."""


@dataclass(frozen=True)
class StripRun:
    """A DEPTHWISE and its window; its job enters the engine in cycle `begin`."""

    instruction: Depthwise
    window: DepthwiseWindow
    begin: int


@dataclass(frozen=True)
class _Opened:
    """A job whose strip is being loaded since cycle `start`; its columns begin at `column`."""

    run: StripRun
    start: int
    column: int
    sums_before: int


class DepthwiseTiming:
    """Loads strips and steps over them, as `celosia.hdl.npu.depthwise_engine` does."""

    def __init__(
        self,
        config: NpuConfig,
        clock: Clock,
        semaphores: Semaphores,
        sets: Tiles,
        claims: Claims,
        records: Records,
    ) -> None:
        self._config = config
        self._semaphores = semaphores
        self._sets = sets
        self._claims = claims
        self._records = records
        self._lanes = (1, 0, 0)
        self._closed = 0  # when the last strip's last vector was taken
        self._available: list[int] = []  # by column, over all strips
        self._released: list[int] = []
        self._loaded = Condition(clock)
        self._free = Condition(clock)
        self._opened: deque[_Opened] = deque()
        self._jobs = Condition(clock, work=True)
        self._unfinished = 0
        self._finished = Condition(clock)
        self.idle = 0
        """First cycle from which on nothing is under way, sums included."""
        self.sums_end = 0
        """When the last sum of the jobs so far was taken, once `finish` has returned."""

    def load(self, run: StripRun, offered: int, sums_before: int) -> "Loading":
        """Take a strip's vectors from cycle `offered` on, after a cycle in which sums end.

        Returns the spans [first cycle, end) of its columns.
        """
        start = max(run.begin + JOB_CYCLES, self._closed + 1)
        first = max(offered, start + 1)
        window, strip = run.window, run.instruction
        lanes = (window.multiplier, window.lane, window.phase)
        if lanes != self._lanes:
            first = max(first, start + 1 + self._config.depthwise_lanes)
            self._lanes = lanes
        self._unfinished += 1
        self._opened.append(_Opened(run, start, len(self._available), sums_before))
        self._jobs.notify()
        spans = []
        for _ in range(strip.strip_columns):
            replaced = len(self._available) - self._config.depthwise_columns
            while len(self._released) <= replaced:
                yield self._free
            if replaced >= 0:
                first = max(first, self._released[replaced] + 1)
            end = first + strip.strip_rows
            spans.append((first, end))
            self._claims.add(first - 1, end - 1)
            self._available.append(end - 1 + COLUMN_CYCLES)
            self._loaded.notify()
            first = end
        self._closed = first - 1
        return spans

    def finish(self) -> Process:
        """Wait until it is known when the jobs so far end."""
        while self._unfinished:
            yield self._finished

    def compute(self) -> Process:
        """Job after job, output column after output column."""
        records, sets = self._records, self._sets
        free = 0  # the cycle after the last step
        while True:
            while not self._opened:
                yield self._jobs
            job = self._opened.popleft()
            strip, window = job.run.instruction, job.run.window
            steps = window.rows * window.groups
            # The walker takes a job with the last step of the one before, at the earliest.
            free = max(free, job.start + JOB_CYCLES + 1)
            for column in range(strip.columns):
                origin = job.column + column * window.stride_x
                last = origin + window.columns - 1
                while len(self._available) <= last:
                    yield self._loaded
                first = max(free, self._available[last])
                if column == 0:
                    while (complete := sets.next_complete()) is None:
                        yield sets.loaded
                    records.spend(Counter.MATRIX_WEIGHTS, first, complete)
                    first = max(first, complete)
                    sets.use(first)
                    # The first sum waits for those of the instruction before.
                    first = max(first, job.sums_before + 1 - SUM_CYCLES - (steps - 1))
                free = first + strip.rows * steps
                records.spend(Counter.MATRIX_DEPTHWISE, first, free)
                is_last = column == strip.columns - 1
                self._released += [free - 1] * (window.columns if is_last else window.stride_x)
                self._free.notify()
            self.sums_end = free - 1 + SUM_CYCLES
            self.idle = self.sums_end + UPDATE_CYCLES + 1
            self._semaphores.signal(strip.signal, self.idle)
            self._unfinished -= 1
            self._finished.notify()
