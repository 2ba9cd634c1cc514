"""The performance counters in Verilator."""

from celosia.hdl.npu.counters import PerformanceCounters
from celosia.sim.block_bench import run_block_bench


def test_counters():
    run_block_bench(
        PerformanceCounters,
        "celosia.sim.benches.counters_bench",
        name="counters",
        parameters={"depth": 6},
        seed=1,
    )
