"""Bench of `celosia.hdl.npu.accumulators.Accumulators` against an array of wrapping int32."""

from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from amaranth.lib import data
from cocotb.triggers import Event, RisingEdge
from numpy.typing import NDArray

from celosia.golden.isa import ADDRESS_BITS
from celosia.hdl.npu.interfaces import AccumulateJob, vector
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields, pack_vector
from celosia.sim.stalls import Stall

CHUNKS = 16
PASSES = 10

STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


@dataclass
class Chunk:
    """Passes over one range of vectors, and what the range holds after them."""

    base: int
    jobs: list[int]
    sums: list[int]
    result: NDArray[np.int32]


class Model:
    """Random chunks, and the memory as it must be after them."""

    def __init__(self, bench: BlockBench) -> None:
        self.columns: int = bench.parameters["columns"]
        self.half: int = bench.parameters["depth"] // 2
        self.rng = np.random.default_rng(bench.rng.getrandbits(64))
        self.memory = np.zeros((2 * self.half, self.columns), np.int32)
        self.response = data.StructLayout(
            {"vector": vector(self.columns, 32), "tag": bench.parameters["tag"]}
        )
        self.request = data.StructLayout({"address": ADDRESS_BITS, "tag": bench.parameters["tag"]})

    def chunk(
        self, half: int, *, passes: int, signal: int, low: int = 0, rows: int = 0, columns: int = 0
    ) -> Chunk:
        """Passes over a random range of a half's vectors from ``low`` on; the last one signals."""
        room = self.half - low
        rows = rows or self._side(room)
        columns = columns or self._side(room // rows)
        count = rows * columns
        base = half * self.half + low + int(self.rng.integers(0, room - count + 1))
        chunk = Chunk(base, [], [], self.memory[base : base + count])
        for number in range(passes):
            overwrite = number == 0
            job = {"base": base, "rows": rows, "columns": columns, "overwrite": int(overwrite)}
            if number == passes - 1:
                job["signal"] = signal
            chunk.jobs.append(pack_fields(AccumulateJob, job))
            sums = self.rng.integers(-(2**31), 2**31, (count, self.columns), np.int32)
            chunk.sums += [pack_vector(row, np.int32) for row in sums]
            with np.errstate(over="ignore"):
                chunk.result = sums if overwrite else sums + chunk.result
            self.memory[base : base + count] = chunk.result
        return chunk

    def _side(self, longest: int) -> int:
        """Often 1: jobs of few sums need the most care."""
        return 1 if self.rng.random() < 0.5 else int(self.rng.integers(1, longest + 1))

    def reads(self, addresses: list[int]) -> tuple[list[int], list[int]]:
        """Requests with random tags, and the responses that the memory as it is must give."""
        requests, responses = [], []
        for address in addresses:
            tag = int(self.rng.integers(0, 1 << self.response["tag"].width))
            requests.append(pack_fields(self.request, {"address": address, "tag": tag}))
            words = self.memory[address].tolist()
            responses.append(pack_fields(self.response, {"vector": words, "tag": tag}))
        return requests, responses

    def decode(self, payload: int) -> object:
        """Fields of a response, for messages."""
        return fields_of(self.response, payload)


async def fill(dut: Any, bench: BlockBench, model: Model) -> None:
    """Write every vector, so that the memory and its model are the same."""
    jobs, sums = bench.source("jobs"), bench.source("sums")
    for half in range(2):
        values = model.rng.integers(-(2**31), 2**31, (model.half, model.columns), np.int32)
        model.memory[half * model.half : (half + 1) * model.half] = values
        job = {"base": half * model.half, "rows": model.half, "columns": 1, "overwrite": 1}
        await jobs.send([pack_fields(AccumulateJob, job)])
        await sums.send([pack_vector(row, np.int32) for row in values])
    while dut.busy.value:
        await bench.cycles()


@cocotb.test()
@cocotb.parametrize(sums_stall=STALLS, request_stall=STALLS, response_stall=STALLS)
async def halves_are_filled_and_drained_in_turn(
    dut: Any, sums_stall: Stall, request_stall: Stall, response_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    model = Model(bench)
    jobs, sums = bench.source("jobs", sums_stall), bench.source("sums", sums_stall)
    request = bench.source("read__request", request_stall)
    response = bench.sink("read__response", response_stall)
    await fill(dut, bench, model)
    chunks = [
        model.chunk(i % 2, passes=bench.rng.randint(1, 6), signal=bench.rng.randint(1, 127))
        for i in range(CHUNKS)
    ]
    final = model.memory.copy()
    drained = [Event() for _ in chunks]
    accumulated = [Event() for _ in chunks]

    async def watch_signal() -> None:
        for chunk, event in zip(chunks, accumulated, strict=True):
            while not dut.signal.value:
                await RisingEdge(dut.clk)
            signal = fields_of(AccumulateJob, chunk.jobs[-1])["signal"]
            assert dut.signal.value == signal, f"signal is {dut.signal.value}, not {signal:#b}"
            event.set()
            await RisingEdge(dut.clk)

    async def send_sums() -> None:
        for i, chunk in enumerate(chunks):
            if i >= 2:
                await drained[i - 2].wait()
            await sums.send(chunk.sums)

    cocotb.start_soon(watch_signal())
    cocotb.start_soon(jobs.send([job for chunk in chunks for job in chunk.jobs]))
    cocotb.start_soon(send_sums())
    for chunk, done, event in zip(chunks, accumulated, drained, strict=True):
        await done.wait()
        model.memory[chunk.base : chunk.base + len(chunk.result)] = chunk.result
        addresses = list(range(chunk.base, chunk.base + len(chunk.result)))
        requests, responses = model.reads(addresses)
        cocotb.start_soon(request.send(requests))
        await response.check(responses, model.decode)
        event.set()
    model.memory = final
    requests, responses = model.reads(list(range(2 * model.half)))
    cocotb.start_soon(request.send(requests))
    await response.check(responses, model.decode)
    await response.check_quiet(10)
    assert not dut.busy.value, "busy without a job"


@cocotb.test()
@cocotb.parametrize(sums_stall=STALLS, request_stall=STALLS, response_stall=STALLS)
async def reads_of_the_half_being_filled_are_right(
    dut: Any, sums_stall: Stall, request_stall: Stall, response_stall: Stall
) -> None:
    """Other vectors of the same half, since those being added to are in motion."""
    bench = await BlockBench.start(dut)
    model = Model(bench)
    await fill(dut, bench, model)
    low = model.half // 3
    addresses = [bench.rng.randrange(2) * model.half + bench.rng.randrange(low) for _ in range(300)]
    requests, responses = model.reads(addresses)
    chunks = [model.chunk(bench.rng.randrange(2), passes=3, signal=0, low=low) for _ in range(8)]
    request = bench.source("read__request", request_stall)
    response = bench.sink("read__response", response_stall)
    cocotb.start_soon(request.send(requests))
    cocotb.start_soon(
        bench.source("jobs", sums_stall).send([j for chunk in chunks for j in chunk.jobs])
    )
    sums = bench.source("sums", sums_stall)
    sending = cocotb.start_soon(sums.send([s for chunk in chunks for s in chunk.sums]))
    await response.check(responses, model.decode)
    await sending
    while dut.busy.value:
        await bench.cycles()
    requests, responses = model.reads(list(range(2 * model.half)))
    cocotb.start_soon(request.send(requests))
    await response.check(responses, model.decode)


@cocotb.test()
@cocotb.parametrize(rows=[1, 2, 3, 4, 5])
async def sums_flow_at_the_documented_rate(dut: Any, rows: int) -> None:
    bench = await BlockBench.start(dut)
    model = Model(bench)
    chunks = [
        model.chunk(0, passes=PASSES, signal=0, rows=rows, columns=1),
        model.chunk(1, passes=PASSES, signal=1, rows=1, columns=rows),
    ]
    cocotb.start_soon(bench.source("jobs").send([j for chunk in chunks for j in chunk.jobs]))
    await bench.cycles(3)
    start = bench.cycle
    await bench.source("sums").send([s for chunk in chunks for s in chunk.sums])
    cycles = bench.cycle - start
    # Of short passes one starts every four cycles; those that overwrite have nothing to wait for.
    expected = len(chunks) * ((PASSES - 1) * max(rows, 4) + rows)
    assert cycles == expected, f"{PASSES} passes of {rows} sums took {cycles} cycles"
    for cycle in range(1, 6):
        await bench.cycles()
        assert dut.signal.value == (cycle == 4), f"signal is {dut.signal.value} in cycle {cycle}"
    assert not dut.busy.value
