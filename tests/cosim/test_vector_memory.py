"""The vector memory and its response buffers in Verilator."""

import pytest

from celosia.hdl.npu.vector_memory import VectorMemory
from celosia.hdl.npu.vector_storage import BANK_VECTORS
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("depth", "lanes", "tags", "answers", "writers"),
    [
        (8, 4, [3], ["buffered"], 1),
        (21, 6, [2, 0, 5, 1], ["buffered", "direct", "buffered", "buffered"], 2),
        (2 * BANK_VECTORS + 5, 4, [0, 2], ["direct", "buffered"], 1),
    ],
)
@pytest.mark.parametrize("compact", [False, True])
def test_vector_memory(depth, lanes, tags, answers, writers, compact):
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
            "compact": compact,
        },
        seed=1,
    )
