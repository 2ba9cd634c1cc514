"""The depthwise engine's time: strips of vectors through a ring of columns, and windows over it."""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Depthwise, DepthwiseWindow
from celosia.golden.memory_map import Counter
from celosia.golden.timing.clockwork import Clock, Condition, Process
from celosia.golden.timing.ordering import Semaphores
from celosia.golden.timing.records import Records
from celosia.golden.timing.runs import Run
from celosia.golden.timing.sums import Standstill, Sums
from celosia.golden.timing.weights import LoadedWeights

JOB_CYCLES = 2
"""From an instruction to its job at the loader: a queue."""
WALKER_CYCLES = 3
"""From opening a strip to its job at the walker: a queue, and a register that holds one job."""
NEXT_JOB_CYCLES = 2
"""From a job's taking by the walker to the next one's, at least."""
OPEN_CYCLES = 1
"""From opening a strip to its first vector, and from its last vector to opening the next one."""
AVAILABLE_CYCLES = 2
"""From taking a column's last vector until it can be read (`StripLoader`)."""
SUM_CYCLES = 7
"""From an output's last step to its sum: two of reading, five of `DepthwiseProducts`."""


@dataclass(frozen=True)
class _Job:
    """A strip that was opened in a cycle; its first column is number `column` of all."""

    depthwise: Depthwise
    window: DepthwiseWindow
    opened: int
    column: int


class StripLoading:
    """Takes strips into the ring, as `celosia.hdl.npu.strip_loader.StripLoader` does."""

    def __init__(self, config: NpuConfig, clock: Clock, sums: Sums) -> None:
        self._ring = config.depthwise_columns
        self._lanes = config.depthwise_lanes
        self._sums = sums
        self._map = (1, 0, 0)
        self._closed = 0  # first cycle in which a strip may be opened
        self._released: deque[tuple[int, int]] = deque([(0, 0)])
        self._jobs: deque[_Job] = deque()
        self.available: list[int] = []
        """First cycle in which each column can be read."""
        self.opened = Condition(clock, work=True)
        self.arrived = Condition(clock)
        self._freed = Condition(clock)

    def load(self, run: Run, offered: int) -> Generator["int | Condition", None, tuple[int, int]]:
        """Take a run's vectors, the first of which is offered in a cycle.

        Returns the cycle after the last one, and that of the decisive one.
        """
        depthwise, window = run.instruction, run.window
        assert isinstance(depthwise, Depthwise)
        assert window is not None
        opened = max(run.begin + JOB_CYCLES, self._closed)
        start = opened + OPEN_CYCLES
        lane_map = (window.multiplier, window.lane, window.phase)
        if lane_map != self._map:
            self._map = lane_map
            start += self._lanes
        self._sums.expect()
        self._jobs.append(_Job(depthwise, window, opened, len(self.available)))
        self.opened.notify()
        taken = max(offered, start)
        decisive = taken
        rows = depthwise.strip_rows
        for number in range(depthwise.strip_columns):
            while (room := self._room()) is None:
                yield self._freed
            first = max(taken, room)
            taken = first + rows
            self.available.append(taken - 1 + AVAILABLE_CYCLES)
            self.arrived.notify()
            place = run.decisive - number * rows
            if 0 <= place < rows:
                decisive = first + place
        self._closed = taken - 1 + OPEN_CYCLES
        return taken, decisive

    def release(self, columns: int, cycle: int) -> None:
        """So many columns in all are not read any more from a cycle on."""
        self._released.append((columns, cycle))
        self._freed.notify()

    def next_job(self) -> _Job | None:
        """The next strip that was opened."""
        return self._jobs.popleft() if self._jobs else None

    def _room(self) -> int | None:
        """First cycle in which the next column has a place in the ring; None if not known yet."""
        needed = len(self.available) - self._ring + 1
        while self._released and self._released[0][0] < needed:
            self._released.popleft()
        return self._released[0][1] if self._released else None


class DepthwiseTiming:
    """Walks over windows, as `celosia.hdl.npu.window_walker.WindowWalker` does."""

    def __init__(
        self,
        strips: StripLoading,
        sets: LoadedWeights,
        sums: Sums,
        semaphores: Semaphores,
        records: Records,
    ) -> None:
        self._strips = strips
        self._sets = sets
        self._sums = sums
        self._semaphores = semaphores
        self._records = records
        self._end = 0  # the cycle after the last step
        self._taken = -NEXT_JOB_CYCLES  # when the last job was
        self.idle = 0
        """First cycle from which on nothing is under way, sums included."""

    def run(self) -> Process:
        """Compute strip after strip."""
        while True:
            while (job := self._strips.next_job()) is None:
                yield self._strips.opened
            yield from self._compute(job)

    def _compute(self, job: _Job) -> Process:
        """Output column after output column, each when its window's columns are there."""
        depthwise, window = job.depthwise, job.window
        strips, records = self._strips, self._records
        steps = window.rows * window.groups
        taken = max(job.opened + WALKER_CYCLES, self._end - 1, self._taken + NEXT_JOB_CYCLES)
        self._taken = taken
        step = taken + 1
        column = job.column
        still = Standstill(0, 0)  # where the sums of what came before take longer
        for number in range(depthwise.columns):
            last_column = column + window.columns - 1
            while len(strips.available) <= last_column:
                yield strips.arrived
            step = still.begin(max(step, strips.available[last_column]))
            if number == 0:
                step = yield from self._take_weights(step)
                still = self._sums.standstill(step + steps - 1 + SUM_CYCLES)
            over = still.over(step, step + depthwise.rows * steps)
            for part in still.around(step, over):
                records.spend(Counter.MATRIX_DEPTHWISE, *part)
            step = over
            last = number == depthwise.columns - 1
            column += window.columns if last else window.stride_x
            strips.release(column, over)
        self._end = step
        self.idle = self._sums.finish(still.over(step - 1, step - 1 + SUM_CYCLES))
        self._semaphores.signal(depthwise.signal, self.idle)

    def _take_weights(self, readable: int) -> Generator["int | Condition", None, int]:
        """The first step, which waits for the weights; returns its cycle."""
        while (complete := self._sets.next_complete()) is None:
            yield self._sets.loaded
        step = max(readable, complete)
        self._sets.use(step)
        self._records.spend(Counter.MATRIX_WEIGHTS, readable, step)
        return step
