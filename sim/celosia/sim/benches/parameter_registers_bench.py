"""Bench of `celosia.hdl.npu.parameter_registers.ParameterRegisters` against its byte planes."""

from typing import Any

import cocotb
from amaranth.lib import data

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.parameter_registers import parameters_layout
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_vector

CYCLES = 1000
MULTIPLIER_BITS = 53
"""As the launcher makes it."""
EXPONENT_PLANE = 4


class Golden:
    """The planes as they were written, as bytes of each column."""

    def __init__(self, bench: BlockBench) -> None:
        self.config = config_from_mapping(bench.parameters, default_name="bench")
        self.planes = [[0] * self.config.columns for _ in range(self.config.parameter_vectors)]
        self._layout = data.ArrayLayout(parameters_layout(MULTIPLIER_BITS), self.config.columns)

    def check(self, dut: Any) -> None:
        """Compare all parameters that the DUT shows."""
        expected = []
        for record in zip(*self.planes, strict=True):
            stored = bytes(record)
            expected.append(
                {
                    "bias": int.from_bytes(stored[:4], "little", signed=True),
                    "exponent": int.from_bytes(stored[4:5], signed=True),
                    "multiplier": int.from_bytes(stored[5:], "little") % (1 << MULTIPLIER_BITS),
                }
            )
        got = fields_of(self._layout, dut.parameters.value.to_unsigned())
        assert got == expected, f"parameters are {got}, expected {expected}"

    def write(self, bench: BlockBench, dut: Any, plane: int) -> None:
        """Write random bytes at the next clock edge."""
        self.planes[plane] = [bench.rng.getrandbits(8) for _ in range(self.config.columns)]
        if plane == EXPONENT_PLANE:
            for later in range(plane + 1, len(self.planes)):
                self.planes[later] = [0] * self.config.columns
        dut.write_enable.value = 1
        dut.plane.value = plane
        dut.vector.value = pack_vector(self.planes[plane], "uint8")


@cocotb.test()
async def a_plane_is_there_in_the_next_cycle(dut: Any) -> None:
    dut.write_enable.value = 0
    bench = await BlockBench.start(dut)
    golden, rng = Golden(bench), bench.rng
    for plane in rng.sample(range(len(golden.planes)), len(golden.planes)):
        golden.write(bench, dut, plane)
        await bench.cycles(1)
    for _ in range(CYCLES):
        dut.write_enable.value = 0
        dut.plane.value = rng.randrange(len(golden.planes))
        dut.vector.value = rng.getrandbits(8 * golden.config.columns)
        if rng.random() < 0.1:
            await bench.reset(1)  # which leaves the values as they are
        writes = rng.random() < 0.6
        stood = [*golden.planes]
        if writes:
            golden.write(bench, dut, rng.randrange(len(golden.planes)))
        written, golden.planes = golden.planes, stood
        await bench.cycles(1)
        golden.check(dut)
        golden.planes = written
