"""The host port in Verilator."""

import pytest

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.host_port import HostPort
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(("rows", "columns"), [(4, 10), (6, 16), (16, 4)])
def test_host_port(rows, columns):
    run_block_bench(
        lambda **table: HostPort(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.host_port_bench",
        name="host_port",
        parameters={
            "base": "npu4x4",
            "rows": rows,
            "columns": columns,
            "scratchpad_kib": 1,
            "weight_kib": 1,
            "accumulator_depth": 10,
            "profile_depth": 5,
            "profiles": ["tflm", "float32"],
        },
        seed=1,
    )
