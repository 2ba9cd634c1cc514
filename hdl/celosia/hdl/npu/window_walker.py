"""The order in which the depthwise engine reads the vectors of its windows."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import DEPTHWISE_STRIP_ROWS, DEPTHWISE_WORDS
from celosia.hdl.npu.interfaces import DepthwiseJob
from celosia.hdl.npu.strip_loader import RELEASE_BITS

__all__ = ["WindowWalker"]


class WindowWalker(wiring.Component):
    """Walks over a job's outputs, column by column, and over the window of each.

    A step reads one kernel row in one group of T kernel columns: outputs take kernel rows * groups
    steps each, the kernel rows innermost. A column is released with the last step that reads it.

    Throughput: a step every cycle in which the window's columns are there, without a gap between
    outputs and between jobs that are there. Latency: the first step can be the cycle after its job
    was taken, and after its last column was ``written``. Back-pressure: a step happens in a cycle
    with ``ready``; ``jobs.ready`` follows it combinationally. Reset forgets the job, and all
    columns; the next job's begin at the ring's begin.

    Parameters
    ----------
    taps : int
        T.
    columns : int
        Columns of the ring, a power of two.

    Members
    -------
    jobs : In(stream.Signature(DepthwiseJob))
        Jobs whose columns follow each other around the ring.
    written : In(1)
        One more column can be read from the next cycle on.
    complete : In(1)
        The next job's weights are there.
    valid, ready : Out(1), In(1)
        A step is offered; it happens.
    wants_weights : Out(1)
        Nothing but ``complete`` is missing.
    column, row : Out
        First of the T columns to be read, and the row.
    word : Out
        Of the weights.
    take : Out(1)
        The step is the first one of its job.
    first, final : Out(1)
        It is the first or the last one of its output.
    release : Out
        Columns that are read no more, 0 unless the step happens.
    """

    def __init__(self, *, taps, columns):
        self.taps = taps
        self.columns = columns
        super().__init__(
            {
                "jobs": In(stream.Signature(DepthwiseJob)),
                "written": In(1),
                "complete": In(1),
                "valid": Out(1),
                "ready": In(1),
                "wants_weights": Out(1),
                "column": Out(range(columns)),
                "row": Out(range(DEPTHWISE_STRIP_ROWS)),
                "word": Out(range(DEPTHWISE_WORDS)),
                "take": Out(1),
                "first": Out(1),
                "final": Out(1),
                "release": Out(RELEASE_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        job = Signal(DepthwiseJob, reset_less=True)
        window = job.window
        # Numbers of the last ones: what is subtracted as a job comes needn't be at every step.
        ends = Signal(DepthwiseJob, reset_less=True)
        present = Signal()
        origin = Signal(range(self.columns))  # first column of the output column at hand
        row_origin = Signal.like(self.row)
        kernel_row = Signal.like(window.rows)
        group = Signal.like(window.groups)
        output_row = Signal.like(job.rows)
        columns_left = Signal.like(job.columns, reset_less=True)  # with the one at hand
        last_output_column = Signal(reset_less=True)

        readable, step = Signal(), Signal()
        last_kernel_row, last_output_row = Signal(), Signal()
        column_done, job_done = Signal(), Signal()
        m.d.comb += [
            self.valid.eq(present & readable & (~self.take | self.complete)),
            self.wants_weights.eq(present & readable & self.take & ~self.complete),
            step.eq(self.valid & self.ready),
            last_kernel_row.eq(kernel_row == ends.window.rows),
            self.first.eq(self.word == 0),
            self.final.eq(last_kernel_row & (group == ends.window.groups)),
            self.row.eq(row_origin + kernel_row),
            last_output_row.eq(output_row == ends.rows),
            column_done.eq(step & self.final & last_output_row),
            job_done.eq(column_done & last_output_column),
            self.jobs.ready.eq(~present | job_done),
        ]
        forward = Signal.like(self.release)
        m.d.comb += forward.eq(Mux(last_output_column, window.columns, window.stride_x))
        with m.If(column_done):
            m.d.comb += self.release.eq(forward)

        # Whether a window's columns are there is known a cycle before, for whatever happens in that
        # cycle: steps are at the begin of long paths. A window wider than what is there would read
        # columns of zero weight only.
        available = Signal(signed(RELEASE_BITS + 1))  # negative where more were released
        arriving = available + self.written
        following = self.jobs.payload.window.columns
        behind = window.columns + Mux(last_output_column, following, window.stride_x)
        with m.If(column_done):
            m.d.sync += [available.eq(arriving - forward), readable.eq(arriving >= behind)]
        with m.Else():
            m.d.sync += [
                available.eq(arriving),
                readable.eq(arriving >= Mux(present, window.columns, following)),
            ]

        with m.If(step):
            m.d.sync += [
                self.take.eq(0),
                self.word.eq(self.word + 1),
                kernel_row.eq(kernel_row + 1),
            ]
            with m.If(last_kernel_row):
                m.d.sync += [
                    kernel_row.eq(0),
                    group.eq(group + 1),
                    self.column.eq(self.column + self.taps),
                ]
            with m.If(self.final):
                m.d.sync += [
                    self.word.eq(0),
                    group.eq(0),
                    self.column.eq(origin),
                    output_row.eq(output_row + 1),
                    row_origin.eq(row_origin + window.stride_y),
                ]
            with m.If(column_done):
                m.d.sync += [
                    origin.eq(origin + forward),
                    self.column.eq(origin + forward),
                    output_row.eq(0),
                    row_origin.eq(0),
                    columns_left.eq(columns_left - 1),
                    last_output_column.eq(columns_left == 2),
                ]
        with m.If(self.jobs.ready):
            m.d.sync += [
                present.eq(self.jobs.valid),
                job.eq(self.jobs.payload),
                self.take.eq(1),
                columns_left.eq(self.jobs.payload.columns),
                last_output_column.eq(self.jobs.payload.columns == 1),
            ]
            for end, count in (
                (ends.rows, self.jobs.payload.rows),
                (ends.window.rows, self.jobs.payload.window.rows),
                (ends.window.groups, self.jobs.payload.window.groups),
            ):
                m.d.sync += end.eq(count - 1)
        return m
