"""The emulator's cells: conductances by rows, summed a few rows a cycle; access counts by cell."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import ACCESS_BITS, CONDUCTANCE_BITS

__all__ = ["ACCESSES", "CELL", "Cells"]

CELL = data.StructLayout(
    {"conductance": CONDUCTANCE_BITS, "changed": 1, "stuck_low": 1, "stuck_high": 1}
)
"""A cell in memory; `changed` says that it isn't as it was at first, formed or unformed."""
ACCESSES = data.StructLayout({"pulses": ACCESS_BITS, "reads": ACCESS_BITS})
"""How often a cell was accessed."""


def effective(cell: data.View, unformed: bool) -> Mux:
    """What a cell conducts."""
    formed = cell.changed if unformed else ~cell.changed
    healthy = Mux(formed & ~cell.stuck_low, cell.conductance, 0)
    return Mux(cell.stuck_high, (1 << CONDUCTANCE_BITS) - 1, healthy)


class Cells(wiring.Component):
    """All cells of all tiles.

    Row r of tile t is line t * rows + r. A line that is read shows in the next cycle; writes take
    one lane of it. ``sums`` are complete rows / rows_per_cycle + 2 cycles after ``start``.

    Parameters
    ----------
    config : CrossbarConfig
        Sizes.
    rows_per_cycle : int
        Rows that are summed in a cycle; a power of two, at most ``rows``.
    unformed : bool
        Whether cells are unformed at first.

    Members
    -------
    start : In(1)
        Sum the rows of ``driven`` of ``tile``, which stay as they are until ``summing`` falls.
    tile, driven : In
        Which tile, and which of its rows.
    summing : Out(1)
        Not yet done.
    sums : Out
        Sums of the effective conductances of every column, until the next ``start``.
    line, column : In
        Address of a cell.
    cell : Out(CELL)
        The one that ``line`` named in the cycle before, in ``column`` of this cycle.
    write, value : In
        Write a cell.
    accesses : Out(ACCESSES), write_accesses, new_accesses : In
        The same for its counts; both addresses are those of the cycle before.
    """

    def __init__(self, config: CrossbarConfig, rows_per_cycle: int, unformed: bool) -> None:
        self._config = config
        self._banks = rows_per_cycle
        self._unformed = unformed
        self.sum_bits = CONDUCTANCE_BITS + ceil_log2(config.rows)
        super().__init__(
            {
                "start": In(1),
                "tile": In(range(max(2, config.tiles))),
                "driven": In(config.rows),
                "summing": Out(1),
                "sums": Out(data.ArrayLayout(self.sum_bits, config.columns)),
                "line": In(range(max(2, config.tiles * config.rows))),
                "column": In(range(config.columns)),
                "cell": Out(CELL),
                "write": In(1),
                "value": In(CELL),
                "accesses": Out(ACCESSES),
                "write_accesses": In(1),
                "new_accesses": In(ACCESSES),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, banks = self._config, self._banks
        lines = config.rows // banks  # of a tile, in each bank
        bank_bits, line_bits = ceil_log2(banks), ceil_log2(lines)
        shape = data.ArrayLayout(CELL, config.columns)

        step = Signal(max(1, line_bits))
        reading, adding = Signal(), Signal()
        added = Signal.like(step)
        m.d.comb += self.summing.eq(reading | adding)
        m.d.sync += [adding.eq(reading), added.eq(step)]
        with m.If(self.start):
            m.d.sync += [step.eq(0), reading.eq(1), self.sums.eq(0)]
        with m.Elif(reading):
            m.d.sync += [step.eq(step + 1), reading.eq(step != lines - 1)]

        chosen_bank = Signal(max(1, bank_bits))
        if bank_bits:
            m.d.sync += chosen_bank.eq(self.line[:bank_bits])
        rows = []
        for bank in range(banks):
            cells = memory.Memory(shape=shape, depth=config.tiles * lines, init=[])
            m.submodules[f"bank_{bank}"] = cells
            read, write = cells.read_port(), cells.write_port(granularity=1)
            address = Cat(step[:line_bits], self.tile)
            m.d.comb += [
                read.en.eq(1),
                read.addr.eq(Mux(reading, address, self.line >> bank_bits)),
                write.addr.eq(self.line >> bank_bits),
                write.data.eq(Cat(*[self.value.as_value()] * config.columns)),
            ]
            here = self.line[:bank_bits] == bank if bank_bits else 1
            m.d.comb += write.en.eq(Mux(self.write & here, 1 << self.column, 0))
            rows.append(read.data)
        shown = Signal(shape)
        with m.Switch(chosen_bank):
            for bank, row in enumerate(rows):
                with m.Case(bank):
                    m.d.comb += shown.eq(row)
        m.d.comb += self.cell.eq(shown[self.column])

        with m.If(adding):
            for column in range(config.columns):
                total = self.sums[column]
                for bank, row in enumerate(rows):
                    index = (added << bank_bits) | bank
                    value = effective(row[column], self._unformed)
                    total = total + Mux(self.driven.bit_select(index, 1), value, 0)
                m.d.sync += self.sums[column].eq(total)

        m.submodules.counts = counts = memory.Memory(
            shape=ACCESSES, depth=config.tiles * config.rows * config.columns, init=[]
        )
        read, write = counts.read_port(), counts.write_port()
        place = self.line * config.columns + self.column
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(place),
            self.accesses.eq(read.data),
            write.addr.eq(place),
            write.data.eq(self.new_accesses),
            write.en.eq(self.write_accesses),
        ]
        return m
