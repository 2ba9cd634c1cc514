"""The performance counters in Verilator."""

import pytest

from celosia.hdl.npu.counters import PerformanceCounters
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_counters(depth):
    run_block_bench(
        PerformanceCounters,
        "celosia.sim.benches.counters_bench",
        name="counters",
        parameters={"depth": depth},
        seed=1,
    )
