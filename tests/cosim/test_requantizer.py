"""The requantiser in Verilator."""

import pytest

from celosia.golden.quantization import RoundingMode
from celosia.hdl.npu.requantizer import Requantizer
from celosia.hdl.npu.serial_requantizer import SerialRequantizer
from celosia.sim.block_bench import run_block_bench

TAG_BITS = 5  # as in the bench


def make(*, lanes, modes, latency, values, cycles, bits=None):
    modes = [RoundingMode[name] for name in modes]
    if bits is None:
        block = Requantizer(lanes=lanes, modes=modes, tag=TAG_BITS)
    else:
        block = SerialRequantizer(lanes=lanes, modes=modes, bits=bits, tag=TAG_BITS)
    assert block.latency == latency
    return block


@pytest.mark.parametrize(
    ("lanes", "modes", "latency", "values"),
    [
        (8, ["DOUBLE", "SINGLE", "AVERAGE", "FLOAT32", "FLOAT64"], 14, 120_000),
        (3, ["DOUBLE", "AVERAGE", "FLOAT32"], 14, 9_000),
        (2, ["DOUBLE", "AVERAGE", "FLOAT64"], 14, 9_000),
        (1, ["DOUBLE", "AVERAGE"], 11, 9_000),
    ],
)
def test_requantizer(lanes, modes, latency, values):
    run_block_bench(
        make,
        "celosia.sim.benches.requantizer_bench",
        name="requantizer",
        parameters={
            "lanes": lanes,
            "modes": modes,
            "latency": latency,
            "values": values,
            "cycles": 1,
        },
        seed=1,
    )


@pytest.mark.parametrize(("lanes", "bits", "cycles"), [(2, 16, 3), (1, 8, 5), (1, 4, 9)])
def test_serial_requantizer(lanes, bits, cycles):
    run_block_bench(
        make,
        "celosia.sim.benches.requantizer_bench",
        name="requantizer",
        parameters={
            "lanes": lanes,
            "modes": ["DOUBLE", "SINGLE", "AVERAGE"],
            "bits": bits,
            "latency": cycles + 5,
            "values": 9_000,
            "cycles": cycles,
        },
        seed=1,
    )
