"""The stream FIFO in Verilator."""

import pytest

from celosia.hdl.stream import StreamFifo
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(("shape", "depth"), [(8, 1), (8, 2), (8, 3), (72, 16)])
def test_stream_fifo(shape, depth):
    run_block_bench(
        StreamFifo,
        "celosia.sim.benches.stream_fifo_bench",
        name="stream_fifo",
        parameters={"shape": shape, "depth": depth},
        seed=1,
    )
