"""LOAD in Verilator."""

import pytest

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.load_unit import LoadUnit
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(("rows", "columns"), [(4, 16), (10, 6)])
def test_load_unit(rows, columns):
    run_block_bench(
        lambda **table: LoadUnit(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.load_unit_bench",
        name="load_unit",
        parameters={"base": "npu4x4", "rows": rows, "columns": columns},
        seed=1,
    )
