"""Bench of `celosia.hdl.npu.processing_element.ProcessingElement`, stopped and moved on at random.

Golden are the products of each activation with the weight that was swapped in for it.
"""

from typing import Any

import cocotb

from celosia.sim.block_bench import BlockBench

CYCLES = 6000
INT8 = range(-128, 128)


@cocotb.test()
@cocotb.parametrize(moving=[0.4, 1.0])
async def sums_take_the_weight_of_their_activation(dut: Any, moving: float) -> None:
    bench = await BlockBench.start(dut)
    rng = bench.rng
    limit = 1 << bench.parameters["sum_bits"] - 1
    room = limit - (1 << 14)
    shadow, in_use = 0, 0
    dut.enable.value = dut.load.value = dut.swap.value = 1
    dut.weight.value = 0
    await bench.cycles(2)  # whatever the weights were
    activations: list[int] = []  # of each enabled cycle, as the following
    products: list[int] = []
    sums: list[int] = []
    for _ in range(CYCLES):
        enable = rng.random() < moving
        activation, weight = (rng.choice([-128, 127, rng.choice(INT8)]) for _ in range(2))
        total = rng.choice([room - 1, -room, rng.randrange(-room, room)])
        swap, load = (rng.random() < 0.3 for _ in range(2))
        dut.rst.value = rng.random() < 0.1  # resets nothing
        dut.enable.value = enable
        dut.i_activation.value = activation
        dut.i_sum.value = total
        dut.weight.value = weight
        dut.swap.value, dut.load.value = swap, load and enable
        await bench.cycles(1)  # sees the outputs of before this edge
        if len(sums) >= 3:
            expected = sums[-1] + products[-3]
            assert dut.o_activation.value.to_signed() == activations[-1]
            got = dut.o_sum.value.to_signed()
            assert got == expected, f"sum is {got}, expected {expected}"
        if enable:
            if swap:
                in_use = shadow
            if load:
                shadow = weight
            activations.append(activation)
            products.append(activation * in_use)
            sums.append(total)
