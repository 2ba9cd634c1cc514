"""The accumulators in Verilator."""

import pytest

from celosia.hdl.npu.accumulators import Accumulators
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(("columns", "depth"), [(1, 12), (3, 32), (4, 26)])
def test_accumulators(columns, depth):
    run_block_bench(
        Accumulators,
        "celosia.sim.benches.accumulators_bench",
        name="accumulators",
        parameters={"columns": columns, "depth": depth, "tag": 3},
        seed=1,
    )
