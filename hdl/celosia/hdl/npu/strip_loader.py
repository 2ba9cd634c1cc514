"""Writes the strips of input vectors into the depthwise engine's buffer as it has room."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import DEPTHWISE_STRIP_ROWS, NpuConfig
from celosia.golden.isa import DepthwiseWindow
from celosia.hdl.npu.interfaces import (
    DepthwiseEngineSignature,
    DepthwiseJob,
    field_width,
    vector,
)
from celosia.hdl.npu.lane_map import LaneMap

__all__ = ["StripLoader"]

RELEASE_BITS = field_width(DepthwiseWindow, "columns")
"""Of a number of columns that are released at once: a stride's or a window's."""


class StripLoader(wiring.Component):
    """Maps the lanes of each vector and writes it to the next place of the strip buffer's ring.

    The columns of one strip follow those of the strip before. A job opens its strip: it is passed
    on, and vectors are taken up to the strip's end.

    Throughput: a vector every cycle, with a cycle between strips, or as many more as the engine has
    lanes where the lane map changes. Latency: a column is ``written`` in the cycle after its last
    vector was taken.

    Back-pressure: ``vectors.ready`` is low while no strip is open and while the ring has no free
    column; it depends on registers only.

    Reset empties the ring.

    Parameters
    ----------
    config : NpuConfig
        Sizes.

    Members
    -------
    jobs, vectors : In
        As in `DepthwiseEngineSignature`.
    opened : Out(stream.Signature(DepthwiseJob))
        The jobs of opened strips, for the walker.
    write, write_column, write_row, vector : Out
        To the strip buffer.
    release : In
        Columns, the oldest first, that are read no more; they may be released before they have
        been written.
    written : Out(1)
        A column's last vector is written in this cycle.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        engine = DepthwiseEngineSignature(config.rows, config.columns)
        columns = config.depthwise_columns
        super().__init__(
            {
                "jobs": engine.members["jobs"],
                "vectors": engine.members["vectors"],
                "opened": Out(stream.Signature(DepthwiseJob)),
                "write": Out(1),
                "write_column": Out(range(columns)),
                "write_row": Out(range(DEPTHWISE_STRIP_ROWS)),
                "vector": Out(vector(config.depthwise_lanes)),
                "release": In(RELEASE_BITS),
                "written": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.lanes = lanes = LaneMap(inputs=config.rows, lanes=config.depthwise_lanes)
        open_ = Signal(name="open")
        start, take = Signal(), Signal()
        taken_columns = Signal(signed(RELEASE_BITS + 1))
        window, beat = self.jobs.payload.window, self.vectors.payload
        m.d.comb += [
            self.opened.payload.eq(self.jobs.payload),
            self.opened.valid.eq(self.jobs.valid & ~open_),
            self.jobs.ready.eq(self.opened.ready & ~open_),
            start.eq(self.jobs.valid & self.jobs.ready),
            lanes.set.eq(start),
            lanes.multiplier.eq(window.multiplier),
            lanes.lane.eq(window.lane),
            lanes.phase.eq(window.phase),
            lanes.i.eq(beat.vector),
            self.vectors.ready.eq(open_ & lanes.ready & (taken_columns < config.depthwise_columns)),
            take.eq(self.vectors.valid & self.vectors.ready),
        ]
        with m.If(start):
            m.d.sync += open_.eq(1)
        with m.If(take & beat.strip_end):
            m.d.sync += open_.eq(0)

        column = Signal.like(self.write_column)
        row = Signal.like(self.write_row)
        column_taken = Signal()
        m.d.comb += column_taken.eq(take & beat.column_end)
        with m.If(take):
            m.d.sync += row.eq(Mux(beat.column_end, 0, row + 1))
        with m.If(column_taken):
            m.d.sync += column.eq(column + 1)
        m.d.sync += [
            self.write.eq(take),
            self.write_column.eq(column),
            self.write_row.eq(row),
            self.vector.eq(lanes.o),
            self.written.eq(column_taken),
            taken_columns.eq(taken_columns + column_taken - self.release),
        ]
        return m
