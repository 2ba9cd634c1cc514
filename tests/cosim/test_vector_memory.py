"""The vector memory and its response buffers in Verilator."""

import pytest

from celosia.hdl.npu.vector_memory import VectorMemory
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("depth", "lanes", "tags", "answers", "writers"),
    [
        (8, 4, [0], ["buffered"], 1),
        (8, 4, [3], ["registered"], 1),
        (21, 6, [2, 0, 5, 1], ["registered", "direct", "buffered", "registered"], 2),
    ],
)
def test_vector_memory(depth, lanes, tags, answers, writers):
    run_block_bench(
        VectorMemory,
        "celosia.sim.benches.vector_memory_bench",
        name="vector_memory",
        parameters={
            "depth": depth,
            "lanes": lanes,
            "tags": tags,
            "answers": answers,
            "writers": writers,
        },
        seed=1,
    )
