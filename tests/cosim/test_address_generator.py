"""The address generator in Verilator."""

import pytest

from celosia.hdl.npu.address_generator import AddressGenerator
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize("run_levels", [[0, 1], [3, 4]])
def test_address_generator(run_levels):
    run_block_bench(
        AddressGenerator,
        "celosia.sim.benches.address_generator_bench",
        name="address_generator",
        parameters={"run_levels": run_levels, "tag": 5},
        seed=1,
    )
