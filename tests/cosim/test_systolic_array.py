"""The systolic array in Verilator."""

import pytest

from celosia.hdl.npu.systolic_array import SystolicArray
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (4, 4), (5, 7), (8, 3)])
def test_systolic_array(rows, columns):
    run_block_bench(
        SystolicArray,
        "celosia.sim.benches.systolic_array_bench",
        name="systolic_array",
        parameters={"rows": rows, "columns": columns},
        seed=1,
    )
