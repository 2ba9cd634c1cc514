"""The depthwise engine in Verilator."""

import pytest

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.depthwise_engine import DepthwiseEngine
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("rows", "columns", "taps"), [(4, 4, 3), (6, 10, 1), (10, 6, 4), (5, 5, 5)]
)
def test_depthwise_engine(rows, columns, taps):
    parameters = {
        "base": "npu4x4",
        "rows": rows,
        "columns": columns,
        "requantizer_lanes": 1,
        "depthwise_taps": taps,
    }
    run_block_bench(
        lambda **table: DepthwiseEngine(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.depthwise_engine_bench",
        name="depthwise_engine",
        parameters=parameters,
        seed=1,
    )
