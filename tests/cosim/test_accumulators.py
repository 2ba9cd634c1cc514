"""The accumulators in Verilator."""

import pytest

from celosia.hdl.npu.accumulators import Accumulators
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("columns", "depth", "compact"),
    [(1, 12, False), (3, 32, False), (4, 26, False), (1, 12, True), (3, 26, True)],
)
def test_accumulators(columns, depth, compact):
    run_block_bench(
        Accumulators,
        "celosia.sim.benches.accumulators_bench",
        name="accumulators",
        parameters={"columns": columns, "depth": depth, "tag": 3, "compact": compact},
        seed=1,
    )
