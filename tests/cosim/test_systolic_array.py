"""The arrays of multipliers in Verilator."""

import pytest

from celosia.hdl.npu.broadcast_array import BroadcastArray
from celosia.hdl.npu.systolic_array import SystolicArray
from celosia.sim.block_bench import run_block_bench


def run_array(array, rows, columns, latency):
    run_block_bench(
        lambda rows, columns, latency: array(rows=rows, columns=columns),
        "celosia.sim.benches.systolic_array_bench",
        name="engine",
        parameters={"rows": rows, "columns": columns, "latency": latency},
        seed=1,
    )


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (4, 4), (5, 7), (8, 3)])
def test_systolic_array(rows, columns):
    run_array(SystolicArray, rows, columns, rows + columns + 1)


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (4, 4), (5, 7)])
def test_broadcast_array(rows, columns):
    run_array(BroadcastArray, rows, columns, 3)
