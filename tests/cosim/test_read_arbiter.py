"""The read arbiter in Verilator."""

from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.read_arbiter import ReadArbiter
from celosia.sim.block_bench import run_block_bench


def test_read_arbiter():
    run_block_bench(
        lambda lanes: ReadArbiter(vector(lanes, 32)),
        "celosia.sim.benches.read_arbiter_bench",
        name="read_arbiter",
        parameters={"lanes": 3},
        seed=1,
    )
