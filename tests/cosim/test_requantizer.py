"""The requantiser in Verilator."""

import pytest

from celosia.golden.quantization import RoundingMode
from celosia.hdl.npu.requantizer import Requantizer
from celosia.sim.block_bench import run_block_bench

TAG_BITS = 5  # as in the bench


def make(*, lanes, modes, latency, values):
    block = Requantizer(lanes=lanes, modes=[RoundingMode[name] for name in modes], tag=TAG_BITS)
    assert block.latency == latency
    return block


@pytest.mark.parametrize(
    ("lanes", "modes", "latency", "values"),
    [
        (8, ["DOUBLE", "SINGLE", "AVERAGE", "FLOAT32", "FLOAT64"], 13, 120_000),
        (3, ["DOUBLE", "AVERAGE", "FLOAT32"], 13, 9_000),
        (2, ["DOUBLE", "AVERAGE", "FLOAT64"], 13, 9_000),
        (1, ["DOUBLE", "AVERAGE"], 10, 9_000),
    ],
)
def test_requantizer(lanes, modes, latency, values):
    run_block_bench(
        make,
        "celosia.sim.benches.requantizer_bench",
        name="requantizer",
        parameters={"lanes": lanes, "modes": modes, "latency": latency, "values": values},
        seed=1,
    )
