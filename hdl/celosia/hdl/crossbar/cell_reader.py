"""Reads one cell: the sum of its conversions."""

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import ReadRange, port_widths
from celosia.golden.crossbar.settings import READ_SHIFT_MAXIMUM
from celosia.hdl.crossbar.access import ReadSignature
from celosia.hdl.crossbar.settings_store import SCALAR_VALUES

__all__ = ["READ_SUM_BITS", "CellReader"]

READ_SUM_BITS = CODE_BITS + READ_SHIFT_MAXIMUM


class CellReader(wiring.Component):
    """2**READ_SHIFT conversions in range CELL, each with an integration of its own.

    Members:
        start: strobe: read the cell at tile, row and column, which hold until `done`.
        done: strobe: `total` is the sum, until the next start. Never comes after an abort, which
            ends the read; another may start when the abort is over.
        converted: strobe: a conversion was made.
        reads: the front end, through the limiter.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        widths = port_widths(config)
        super().__init__(
            {
                "start": In(1),
                "tile": In(widths["tile"]),
                "row": In(range(config.rows)),
                "column": In(widths["column"]),
                "scalars": In(SCALAR_VALUES),
                "abort": In(1),
                "done": Out(1),
                "total": Out(READ_SUM_BITS),
                "converted": Out(1),
                "reads": Out(ReadSignature(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, reads = self._config, self.reads
        settling = Signal.like(self.scalars.read_settle)
        left = Signal(range(2**READ_SHIFT_MAXIMUM))
        m.d.sync += self.done.eq(0)
        m.d.comb += [
            reads.tile.eq(self.tile),
            reads.rows.eq(Const(1, config.rows) << self.row),
            reads.column.eq(self.column),
            reads.group.eq(self.column // config.adcs),
            reads.range.eq(ReadRange.CELL.value),
        ]
        code = Array(reads.codes[k] for k in range(config.adcs))[self.column % config.adcs]
        with m.FSM(name="read"):
            with m.State("IDLE"):
                m.d.sync += [
                    settling.eq(self.scalars.read_settle),
                    left.eq((1 << self.scalars.read_shift) - 1),
                ]
                with m.If(self.start & ~self.abort):
                    m.d.sync += self.total.eq(0)
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.opened):
                    m.d.sync += settling.eq(settling - 1)
                    with m.If(settling == 0):
                        m.d.sync += settling.eq(0)
                        m.next = "INTEGRATE"
                self._end(m)
            with m.State("INTEGRATE"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.ready):
                    m.d.comb += reads.integrate.eq(1)
                    m.next = "CONVERT"
                self._end(m)
            with m.State("CONVERT"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.ready):
                    m.d.comb += reads.convert.eq(1)
                    m.next = "TAKE"
                self._end(m)
            with m.State("TAKE"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.ready):
                    m.d.comb += self.converted.eq(1)
                    m.d.sync += [self.total.eq(self.total + code), left.eq(left - 1)]
                    m.next = "INTEGRATE"
                    with m.If(left == 0):
                        m.d.sync += self.done.eq(1)
                        m.next = "IDLE"
                self._end(m)
        return m

    def _end(self, m: Module) -> None:
        """Abort ends the read; the limiter closes the port by itself."""
        with m.If(self.abort):
            m.d.sync += self.done.eq(0)
            m.next = "IDLE"
