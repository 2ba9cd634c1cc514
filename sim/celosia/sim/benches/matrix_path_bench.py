"""Bench of MATRIX, systolic array and accumulators together against the golden machine.

The DUT is the three with their semaphores (`tests/cosim/test_matrix_path.py`).
"""

from typing import Any

import cocotb
import numpy as np

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import LoadWeights, Matmul
from celosia.golden.machine.engine import ExactEngine
from celosia.golden.machine.matrix import MatrixUnit
from celosia.hdl.npu.interfaces import MemoryReadSignature, vector
from celosia.sim.benches.matrix_unit_bench import Program
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.packing import pack_fields, pack_vector, unpack_vector
from celosia.sim.stalls import Stall
from celosia.sim.streams import StreamSource

STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


class Work:
    """A program with random weight tiles, and the accumulators that it leaves."""

    def __init__(self, bench: BlockBench, program: Program) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        self.rows, self.columns = config.rows, config.columns
        self.program = program
        tiles = len(self.program.all_jobs)
        shape = (tiles * config.rows, config.columns)
        weights = self.program.rng.integers(0, 256, shape, np.uint8)
        self.weight_rows = [pack_vector(row, np.uint8) for row in weights]
        self.accumulators = np.zeros((config.accumulator_depth, config.columns), np.int32)
        self.written: set[int] = set()
        golden = MatrixUnit(self.program.memory, weights, self.accumulators, ExactEngine())
        golden.load_weights(LoadWeights(address=0, tiles=tiles))
        for instruction in self.program.instructions:
            golden.handlers[type(instruction)](instruction)
            if isinstance(instruction, Matmul):
                pixels = instruction.rows * instruction.columns
                self.written |= {instruction.accumulator + i for i in range(pixels)}

    def reads(self) -> tuple[list[int], list[int]]:
        """Requests for all sums of the program (the rest is of earlier runs), and the answers."""
        signature = MemoryReadSignature(vector(self.columns, 32))
        layout = signature.members["request"].signature.members["payload"].shape
        addresses = sorted(self.written)
        requests = [pack_fields(layout, {"address": address}) for address in addresses]
        return requests, [pack_vector(self.accumulators[i], np.int32) for i in addresses]

    @property
    def least_cycles(self) -> int:
        """What the passes take when nothing is missing: a pass is as long as its tile at least."""
        return sum(
            max(i.rows * i.columns, self.rows) * len(jobs)
            for i, jobs in zip(self.program.instructions, self.program.jobs, strict=True)
            if isinstance(i, Matmul)
        )


async def execute(
    dut: Any, bench: BlockBench, work: Work, instructions: StreamSource, weights: StreamSource
) -> int:
    """Run the program to its end; returns the cycles that it took."""
    start = bench.cycle
    sending = cocotb.start_soon(weights.send(work.weight_rows))
    await instructions.send(work.program.words)
    await sending
    await bench.cycles()  # the last instruction shows in `busy` a cycle after it was taken
    while dut.busy.value:
        await bench.cycles()
    return bench.cycle - start


@cocotb.test()
@cocotb.parametrize(weights_stall=STALLS, memory_stall=STALLS)
async def accumulators_are_those_of_the_golden_machine(
    dut: Any, weights_stall: Stall, memory_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    work = Work(bench, Program(bench, waits=False))
    MemoryModel(
        bench,
        dut,
        "read",
        work.program.read,
        request_stall=memory_stall,
        response_stall=memory_stall,
    )
    response = bench.sink("accumulators__response")
    weights = bench.source("weights", weights_stall)
    cycles = await execute(dut, bench, work, bench.source("instructions"), weights)
    requests, answers = work.reads()
    cocotb.start_soon(bench.source("accumulators__request").send(requests))
    await response.check(
        answers, lambda payload: unpack_vector(payload, work.columns, np.int32).tolist()
    )
    if weights_stall is memory_stall is Stall.NEVER:
        # Besides the passes: settings (one cycle each), the first tile and the way to the memory.
        overhead = len(work.program.instructions) + 2 * work.rows + work.columns + 12
        assert cycles <= work.least_cycles + overhead, (cycles, work.least_cycles, overhead)


@cocotb.test()
async def passes_of_one_vector_take_as_many_cycles_as_the_array_has_rows(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    instructions, weights = bench.source("instructions"), bench.source("weights")
    programs: list[Program] = []
    MemoryModel(bench, dut, "read", lambda address: programs[-1].read(address))
    cycles = []
    for passes in (50, 100):
        programs.append(Program(bench, waits=False, layers=0))
        programs[-1].fully_connected(passes)
        cycles.append(await execute(dut, bench, Work(bench, programs[-1]), instructions, weights))
    per_pass = (cycles[1] - cycles[0]) / 50
    rows = config_from_mapping(bench.parameters, default_name="bench").rows
    assert per_pass == rows, f"a pass of one vector takes {per_pass} cycles, not {rows}"
