"""Bench of `celosia.hdl.npu.operand_tables.OperandTables` against two lists."""

from typing import Any

import cocotb
from amaranth.lib import data

from celosia.hdl.npu.operand_tables import OPERANDS, TABLE_ENTRIES, Operands, Terms
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields

CYCLES = 1500


@cocotb.test()
@cocotb.parametrize(lookups=[0.3, 1.0], writes=[0.0, 0.5])
async def lookups_give_what_was_written(dut: Any, lookups: float, writes: float) -> None:
    """Lookups and writes meet at few entries; before a write is complete they may give anything."""
    dut.enable.value = dut.write_enable.value = 0
    bench = await BlockBench.start(dut)
    rng, lanes = bench.rng, bench.parameters["lanes"]
    tables = [[rng.randrange(-(2**31), 2**31) for _ in range(TABLE_ENTRIES)] for _ in "ab"]
    for table, values in enumerate(tables):
        for entry, value in enumerate(values):
            write(dut, table, entry, value)
            await bench.cycles(1)
    entries = [0, TABLE_ENTRIES - 1, *rng.sample(range(TABLE_ENTRIES), 4)]
    due: list[list[int | None]] = [[None] * OPERANDS for _ in range(lanes)]
    dut.write_enable.value = 0
    await bench.cycles(1)
    under_way: tuple[int, int] | None = None  # the write of the cycle before
    for _ in range(CYCLES):
        operands = [[rng.choice(entries) for _ in range(OPERANDS)] for _ in range(lanes)]
        if rng.random() < 0.1:
            operands = [[rng.randrange(TABLE_ENTRIES) for _ in "ab"] for _ in range(lanes)]
        looks_up = rng.random() < lookups
        dut.enable.value = looks_up
        dut.operands.value = pack_fields(data.ArrayLayout(Operands, lanes), operands)
        table, entry = rng.randrange(OPERANDS), rng.choice(entries)
        value = rng.randrange(-(2**31), 2**31)
        write(dut, table, entry, value)
        writes_now = rng.random() < writes
        dut.write_enable.value = writes_now
        await bench.cycles(1)  # sees the terms of before this cycle's lookup
        terms = fields_of(data.ArrayLayout(Terms, lanes), dut.terms.value.to_unsigned())
        for got, expected in zip(terms, due, strict=True):
            for term, one in zip(got, expected, strict=True):
                assert one is None or term == one, f"term is {term}, expected {one}"
        now = (table, entry) if writes_now else None
        if looks_up:
            due = [
                [None if (t, e) in (under_way, now) else tables[t][e] for t, e in enumerate(pair)]
                for pair in operands
            ]
        under_way = now
        if writes_now:
            tables[table][entry] = value


def write(dut: Any, table: int, entry: int, value: int) -> None:
    """Write an entry at the next clock edge."""
    dut.write_enable.value = 1
    dut.write_table.value = table
    dut.write_entry.value = entry
    dut.write_value.value = value % (1 << 32)
