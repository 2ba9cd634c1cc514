"""Bench of POST's blocks that make a run of addresses: they share ports and timing.

`celosia.hdl.npu.output_addresses.OutputAddresses`, and `SumReader` and `OperandReader` of
`celosia.hdl.npu.post_readers`, each against nested loops. The DUT has all three side by side.
"""

from collections.abc import Callable
from typing import Any

import cocotb

from celosia.golden.isa import ADDRESS_BITS
from celosia.hdl.npu.output_addresses import OutputAddress, output_run
from celosia.hdl.npu.post_readers import OperandRequest, OperandRun, SumRun
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall

RUNS = 40
MODULUS = 1 << ADDRESS_BITS
ACCUMULATORS = 1 << 16
MOST_VECTORS = 8
"""Of a pixel, as the launcher makes the DUT."""

Run = tuple[int, list[int]]
"""A run's payload, and those of its addresses."""


def count(bench: BlockBench) -> int:
    """Often 1, which is where all ends at once."""
    return bench.rng.choice([1, 1, 2, 3, bench.rng.randint(1, 8)])


def address(bench: BlockBench) -> int:
    """Anywhere, often next to where addresses wrap."""
    return bench.rng.choice([bench.rng.randrange(MODULUS), MODULUS - 1, MODULUS - 3, 0])


def stored_run(bench: BlockBench, dut: Any) -> Run:
    """Vectors of pixels of rows, with the steps that the DUT has been given."""
    column_step = dut.output_addresses__column_step.value.to_unsigned()
    row_step = dut.output_addresses__row_step.value.to_unsigned()
    start = address(bench)
    rows, columns, vectors = count(bench), count(bench), count(bench)
    run = {"address": start, "rows": rows, "columns": columns, "vectors": vectors}
    beats = []
    for row in range(rows):
        for column in range(columns):
            for v in range(vectors):
                beat = {
                    "address": (start + row * row_step + column * column_step + v) % MODULUS,
                    "pixel_end": v == vectors - 1,
                    "last": (row, column, v) == (rows - 1, columns - 1, vectors - 1),
                }
                beats.append(pack_fields(OutputAddress, beat))
    return pack_fields(output_run(MOST_VECTORS), run), beats


def sum_run(bench: BlockBench, dut: Any) -> Run:
    """Accumulator vectors, one after the other, up to the last that there can be."""
    rows, columns = count(bench), count(bench)
    highest = ACCUMULATORS - rows * columns
    start = bench.rng.choice([0, highest, bench.rng.randint(0, highest)])
    run = {"address": start, "rows": rows, "columns": columns}
    return pack_fields(SumRun, run), list(range(start, start + rows * columns))


def operand_run(bench: BlockBench, dut: Any) -> Run:
    """Both operands in turn; b may start over."""
    a, b, vectors = address(bench), address(bench), count(bench)
    b_vectors = bench.rng.choice([0, 1, count(bench), vectors])
    beats = []
    for v in range(vectors):
        for second, start in enumerate((a + v, b + (v % b_vectors if b_vectors else v))):
            tag = {"first": 1 - second, "final": second}
            beat = {"address": start % MODULUS, "tag": tag}
            beats.append(pack_fields(OperandRequest, beat))
    run = {"a": a, "b": b, "count": vectors, "b_vectors": b_vectors}
    return pack_fields(OperandRun, run), beats


BLOCKS: dict[str, tuple[Callable[[BlockBench, Any], Run], Any]] = {
    "output_addresses": (stored_run, OutputAddress),
    "sum_reader": (sum_run, ADDRESS_BITS),
    "operand_reader": (operand_run, OperandRequest),
}


async def random_runs(bench: BlockBench, dut: Any, block: str) -> list[Run]:
    """Runs with the same steps, where the block has any."""
    dut.output_addresses__column_step.value = address(bench)
    dut.output_addresses__row_step.value = address(bench)
    await bench.cycles(1)
    make, _ = BLOCKS[block]
    return [make(bench, dut) for _ in range(RUNS)]


@cocotb.test()
@cocotb.parametrize(block=list(BLOCKS), runs_stall=list(Stall), o_stall=list(Stall))
async def addresses_are_those_of_the_loops(
    dut: Any, block: str, runs_stall: Stall, o_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    _, layout = BLOCKS[block]
    source, sink = bench.source(f"{block}__runs", runs_stall), bench.sink(f"{block}__o", o_stall)
    for _ in range(2):
        runs = await random_runs(bench, dut, block)
        cocotb.start_soon(source.send([run for run, _ in runs]))
        expected = [beat for _, beats in runs for beat in beats]
        await sink.check(expected, lambda payload: fields_of(layout, payload))
        await sink.check_quiet(10)


@cocotb.test()
@cocotb.parametrize(block=list(BLOCKS))
async def an_address_comes_every_cycle_from_the_next_on(dut: Any, block: str) -> None:
    bench = await BlockBench.start(dut)
    runs = await random_runs(bench, dut, block)
    o_valid, runs_ready = getattr(dut, f"{block}__o__valid"), getattr(dut, f"{block}__runs__ready")
    getattr(dut, f"{block}__o__ready").value = 1
    source = bench.source(f"{block}__runs")
    for run, beats in runs:
        assert runs_ready.value
        await source.send([run])
        for _ in beats:
            await bench.cycles(1)
            assert o_valid.value
            assert not runs_ready.value, "takes a run while there is one"
        await bench.cycles(1)
        assert not o_valid.value


@cocotb.test()
@cocotb.parametrize(block=list(BLOCKS))
async def reset_ends_a_run(dut: Any, block: str) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source(f"{block}__runs"), bench.sink(f"{block}__o", Stall.HALF)
    for _ in range(20):
        runs = await random_runs(bench, dut, block)
        task = cocotb.start_soon(source.send([run for run, _ in runs]))
        await bench.cycles(bench.rng.randrange(2, 30))
        task.cancel()
        await bench.reset()
        await sink.check_quiet(3)
        run, beats = runs[-1]
        await source.send([run])
        await sink.check(beats)
        await sink.check_quiet(3)
