"""The columns of input vectors that the depthwise engine works on."""

from amaranth.hdl import Cat, Module, Mux, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.pipeline import delayed, delayed_while

__all__ = ["StripBuffer"]


class StripBuffer(wiring.Component):
    """A ring of ``columns`` columns of up to ``rows`` vectors, ``taps`` neighbours read at once.

    Neighbouring columns lie in different banks, each a memory with one write and one read port:
    column c in bank c modulo the number of banks, a power of two.

    Throughput: a write and a read every cycle. Latency: ``o`` is what was read at the enabled edge
    before, late in the cycle. A read sees the writes of the cycles before it. Nothing is reset.

    Parameters
    ----------
    taps : int
        T, columns read at once; at most ``columns``.
    columns, rows : int
        Size, both powers of two.
    lanes : int
        int8 to a vector.

    Members
    -------
    write : In(1)
        Write ``vector`` to row ``write_row`` of column ``write_column``.
    write_column, write_row, vector : In
        What and where.
    enable : In(1)
        Read from where ``column`` and ``row`` pointed in the cycle before, at this clock edge.
    column, row : In
        Read row ``row`` of the columns ``column`` to ``column`` + T - 1, around the ring's end.
    o : Out(T x vector(lanes))
        What was read.
    """

    def __init__(self, *, taps, columns, rows, lanes):
        if not 1 <= taps <= columns:
            raise ValueError(f"strip buffer taps must be 1 to {columns}, not {taps!r}")
        self.taps = taps
        self.columns = columns
        self.rows = rows
        self.lanes = lanes
        super().__init__(
            {
                "write": In(1),
                "write_column": In(range(columns)),
                "write_row": In(range(rows)),
                "vector": In(vector(lanes)),
                "enable": In(1),
                "column": In(range(columns)),
                "row": In(range(rows)),
                "o": Out(data.ArrayLayout(vector(lanes), taps)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        banks = 1 << ceil_log2(self.taps)
        bank_bits = ceil_log2(banks)
        shape = vector(self.lanes)

        first_bank, slot = self.column[:bank_bits], self.column[bank_bits:]
        write_bank, write_slot = self.write_column[:bank_bits], self.write_column[bank_bits:]
        at_port = []
        for number in range(banks):
            m.submodules[f"bank_{number}"] = bank = memory.Memory(
                shape=unsigned(shape.size),
                depth=self.columns // banks * self.rows,
                init=[],
                attrs={"no_rw_check": 1},  # a column isn't written while it is read
            )
            write_port, read_port = bank.write_port(), bank.read_port()
            # Banks before the first one hold columns of the next slot.
            place = Cat(self.row, (slot + (number < first_bank))[: len(slot)])
            m.d.comb += [
                write_port.en.eq(self.write & (write_bank == number)),
                write_port.addr.eq(Cat(self.write_row, write_slot)),
                write_port.data.eq(self.vector),
                read_port.en.eq(self.enable),
                read_port.addr.eq(delayed(m, place, 1, f"place_{number}")),
            ]
            at_port.append(read_port.data)

        rotation = delayed_while(
            m, self.enable, delayed(m, first_bank, 1, "first_bank"), 1, "rotation"
        )
        for tap in range(self.taps):
            chosen = at_port[tap]
            for amount in range(1, banks):
                chosen = Mux(rotation == amount, at_port[(tap + amount) % banks], chosen)
            m.d.comb += self.o[tap].eq(chosen)
        return m
