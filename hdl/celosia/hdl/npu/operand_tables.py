"""Tables of ADD and MUL: what each operand contributes to the sum or product."""

from amaranth.hdl import Cat, Module, signed, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.pipeline import delayed

__all__ = ["TABLE_ENTRIES", "OperandTables", "Terms"]

TABLE_ENTRIES = 256
OPERANDS = 2
Operands = data.ArrayLayout(unsigned(8), OPERANDS)
Terms = data.ArrayLayout(signed(32), OPERANDS)
"""What the operands of one lane contribute."""


class OperandTables(wiring.Component):
    """Two tables of 256 int32, one for each operand, copied for each lane.

    Throughput: a lookup in every lane each cycle, and a write each cycle. Latency: 1 cycle; while
    `enable` is low the terms stay. An entry is there two cycles after it was written; a
    lookup before gives any value. Nothing is reset.

    Parameters
    ----------
    lanes : int
        Lookups of each table in one cycle.

    Members
    -------
    enable : In(1)
        Look up.
    operands : In(lanes x 2 bytes)
        Operands a and b of each lane, as unsigned bytes.
    terms : Out(lanes x 2 int32)
        Their entries.
    write_enable : In(1)
        Write an entry of one table, in all lanes alike.
    write_table, write_entry, write_value : In
        Which table (0: a, 1: b), which entry, its value.
    """

    def __init__(self, *, lanes):
        self.lanes = lanes
        super().__init__(
            {
                "enable": In(1),
                "operands": In(data.ArrayLayout(Operands, lanes)),
                "terms": Out(data.ArrayLayout(Terms, lanes)),
                "write_enable": In(1),
                "write_table": In(1),
                "write_entry": In(8),
                "write_value": In(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # What is written comes from another memory.
        written = Cat(
            self.write_enable & (self.write_table == operand) for operand in range(OPERANDS)
        )
        enable = delayed(m, written, 1, "enable", reset_less=False)
        entry = delayed(m, self.write_entry, 1, "entry")
        value = delayed(m, self.write_value, 1, "value")
        for lane in range(self.lanes):
            for operand in range(OPERANDS):
                table = memory.Memory(
                    shape=signed(32),
                    depth=TABLE_ENTRIES,
                    init=[],
                    attrs={"no_rw_check": 1},  # no logic for a lookup of what is being written
                )
                m.submodules[f"table_{'ab'[operand]}_{lane}"] = table
                write, read = table.write_port(), table.read_port()
                m.d.comb += [
                    read.en.eq(self.enable),
                    read.addr.eq(self.operands[lane][operand]),
                    self.terms[lane][operand].eq(read.data),
                    write.en.eq(enable[operand]),
                    write.addr.eq(entry),
                    write.data.eq(value),
                ]
        return m
