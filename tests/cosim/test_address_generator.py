"""The address generator in Verilator."""

import pytest

from celosia.hdl.npu.address_generator import AddressGenerator
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("run_levels", "more"),
    [
        ([0, 1], {}),
        ([3, 4], {}),
        ([0, 1], {"address_bits": 13, "coordinate_bits": 9, "block_memories": True}),
        ([0, 1], {"registered": False}),
    ],
)
def test_address_generator(run_levels, more):
    run_block_bench(
        AddressGenerator,
        "celosia.sim.benches.address_generator_bench",
        name="address_generator",
        parameters={"run_levels": run_levels, "tag": 5, **more},
        seed=1,
    )
