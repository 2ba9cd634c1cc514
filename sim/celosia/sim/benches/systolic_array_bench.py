"""Bench of the arrays of multipliers against numpy's matrix product."""

from typing import Any

import cocotb
import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from celosia.hdl.npu.interfaces import vector
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import pack_fields, pack_vector, unpack_vector
from celosia.sim.stalls import Stall

PASSES = 40
CORNERS = np.array([-128, -1, 0, 1, 127], np.int8)


class Traffic:
    """Random passes with their tiles, as the beats of the three streams."""

    def __init__(self, bench: BlockBench, lengths: list[int]) -> None:
        rows, columns = bench.parameters["rows"], bench.parameters["columns"]
        rng = np.random.default_rng(bench.rng.getrandbits(64))
        layout = data.StructLayout({"vector": vector(rows), "first": 1})
        self.columns = columns
        self.weights: list[int] = []
        self.activations: list[int] = []
        self.sums: list[int] = []
        for number, length in enumerate(lengths):
            tile = random_int8(rng, (rows, columns))
            vectors = random_int8(rng, (length, rows))
            if number == 1:  # the largest sum that there is
                tile[:], vectors[:] = -128, -128
            self.weights += [pack_vector(row, np.int8) for row in tile]
            self.activations += [
                pack_fields(layout, {"vector": x.tolist(), "first": int(i == 0)})
                for i, x in enumerate(vectors)
            ]
            products = vectors.astype(np.int32) @ tile.astype(np.int32)
            self.sums += [pack_vector(y, np.int32) for y in products]

    def decode_sums(self, payload: int) -> object:
        """Lanes of a beat of sums, for messages."""
        return unpack_vector(payload, self.columns, np.int32).tolist()


def random_int8(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Uniform values, or nothing but corner values."""
    if rng.random() < 0.3:
        return rng.choice(CORNERS, shape)
    return rng.integers(-128, 128, shape, np.int8)


def random_lengths(bench: BlockBench) -> list[int]:
    """Lengths of passes around those where loading and streaming change places."""
    rows = bench.parameters["rows"]
    return bench.rng.choices([1, 2, rows - 1, rows, rows + 1, 3 * rows], k=PASSES)


STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


@cocotb.test()
@cocotb.parametrize(weights_stall=STALLS, activations_stall=STALLS, sums_stall=STALLS)
async def sums_are_exact(
    dut: Any, weights_stall: Stall, activations_stall: Stall, sums_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench, random_lengths(bench))
    sums = bench.sink("sums", sums_stall)
    cocotb.start_soon(bench.source("weights", weights_stall).send(traffic.weights))
    cocotb.start_soon(bench.source("activations", activations_stall).send(traffic.activations))
    await sums.check(traffic.sums, traffic.decode_sums)
    await sums.check_quiet(bench.parameters["latency"] + 10)


@cocotb.test()
@cocotb.parametrize(length=[1, 2, 3, 100])
async def passes_take_as_long_as_their_tiles(dut: Any, length: int) -> None:
    bench = await BlockBench.start(dut)
    rows = bench.parameters["rows"]
    traffic = Traffic(bench, [length] * PASSES)
    sums = bench.sink("sums")
    cocotb.start_soon(bench.source("weights").send(traffic.weights))
    cocotb.start_soon(bench.source("activations").send(traffic.activations))
    await sums.receive(1)
    start = bench.cycle
    await sums.receive(len(traffic.sums) - 1)
    cycles = bench.cycle - start
    expected = (PASSES - 1) * max(length, rows) + length - 1
    assert cycles == expected, f"{PASSES} passes of {length} took {cycles}, expected {expected}"


@cocotb.test()
async def latency_is_as_documented(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench, [1])
    sums = bench.sink("sums")
    await bench.source("weights").send(traffic.weights)
    await bench.source("activations").send(traffic.activations)
    start = bench.cycle
    await sums.receive(1)
    cycles = bench.cycle - start
    assert cycles == bench.parameters["latency"], f"latency is {cycles}"


@cocotb.test()
async def reset_forgets_what_was_under_way(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    sums = bench.sink("sums", Stall.HALF)
    for _ in range(8):
        traffic = Traffic(bench, random_lengths(bench))
        tasks = [
            cocotb.start_soon(bench.source("weights", Stall.HALF).send(traffic.weights)),
            cocotb.start_soon(bench.source("activations", Stall.HALF).send(traffic.activations)),
        ]
        await sums.check(traffic.sums[: bench.rng.randrange(20)], traffic.decode_sums)
        for task in tasks:
            task.cancel()
        await bench.reset()
    traffic = Traffic(bench, random_lengths(bench))
    cocotb.start_soon(bench.source("weights").send(traffic.weights))
    cocotb.start_soon(bench.source("activations").send(traffic.activations))
    await sums.check(traffic.sums, traffic.decode_sums)
