"""Bench of `celosia.hdl.npu.multipliers.MultiplierBank`, stopped and moved on at random."""

from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import pack_vector, unpack_vector

CYCLES = 3000
CORNERS = np.array([-128, -127, -1, 0, 1, 127], np.int8)


@cocotb.test()
@cocotb.parametrize(moving=[0.5, 1.0], taking=[0.3, 1.0])
async def products_are_exact(dut: Any, moving: float, taking: float) -> None:
    bench = await BlockBench.start(dut)
    count = bench.parameters["products"]
    rng = np.random.default_rng(bench.rng.getrandbits(64))

    def factors() -> NDArray[np.int8]:
        drawn: NDArray[np.int8] = rng.integers(-128, 128, count, np.int8)
        return np.where(rng.random(count) < 0.3, rng.choice(CORNERS, count), drawn)

    in_use = np.zeros(count, np.int8)
    products: list[NDArray[np.int16]] = []  # of each enabled edge, that a factor came with
    for cycle in range(CYCLES):
        enable = rng.random() < moving or cycle == 0
        take = ((rng.random(count) < taking) | (cycle == 0)) & enable
        a, b = factors(), factors()
        dut.rst.value = int(rng.random() < 0.1)  # resets nothing
        dut.enable.value = int(enable)
        dut.a.value, dut.b.value = pack_vector(a, np.int8), pack_vector(b, np.int8)
        dut.take.value = int(sum(int(bit) << place for place, bit in enumerate(take)))
        await bench.cycles(1)  # sees the outputs of before this edge
        if len(products) >= 2:
            got = unpack_vector(dut.product.value.to_unsigned(), count, np.int16)
            assert (got == products[-2]).all(), f"products are {got}, expected {products[-2]}"
        if enable:
            in_use = np.where(take, b, in_use)
            products.append(a.astype(np.int16) * in_use.astype(np.int16))
