"""The semaphores in Verilator."""

from celosia.hdl.npu.semaphores import Semaphores
from celosia.sim.block_bench import run_block_bench


def test_semaphores():
    run_block_bench(
        Semaphores,
        "celosia.sim.benches.semaphores_bench",
        name="semaphores",
        parameters={"units": 3},
        seed=1,
    )
