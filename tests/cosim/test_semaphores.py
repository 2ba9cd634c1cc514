"""The semaphores in Verilator."""

import pytest

from celosia.hdl.npu.semaphores import Semaphores
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize("compact", [False, True])
def test_semaphores(compact):
    run_block_bench(
        Semaphores,
        "celosia.sim.benches.semaphores_bench",
        name="semaphores",
        parameters={"units": 3, "compact": compact},
        seed=1,
    )
