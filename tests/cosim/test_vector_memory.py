"""The vector memory and its response buffers in Verilator."""

import pytest

from celosia.hdl.npu.vector_memory import VectorMemory
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("depth", "lanes", "tags", "writers"), [(8, 4, [0], 1), (21, 6, [2, 0, 5], 2)]
)
def test_vector_memory(depth, lanes, tags, writers):
    run_block_bench(
        VectorMemory,
        "celosia.sim.benches.vector_memory_bench",
        name="vector_memory",
        parameters={"depth": depth, "lanes": lanes, "tags": tags, "writers": writers},
        seed=1,
    )
