"""The Wishbone bridge in Verilator, and bridges with a fault in them."""

import pytest
from support.mutants import mutated

from celosia.golden.config import config_from_mapping
from celosia.hdl import wishbone
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

SIZES = {
    "plain": {"base": "npu4x4", "scratchpad_kib": 1, "weight_kib": 1, "accumulator_depth": 16},
    "crossbar": {
        "base": "npu4x4",
        "scratchpad_kib": 1,
        "weight_kib": 1,
        "accumulator_depth": 16,
        "crossbar": {"rows": 8, "outputs": 4},
    },
}

MUTANTS = {
    "answers a master that has gone": ("asked & ~gone", "asked"),
    "writes parts of words": ("wb.we & ~wb.sel.all()", "0"),
    "looks at stb alone": ("asked = wb.cyc & wb.stb", "asked = wb.stb"),
    "old word": ("m.d.sync += wb.dat_r.eq(response.payload)", "m.d.sync += []"),
    "wrong region": ("wb.adr[-REGION_BITS:]", "wb.adr[-REGION_BITS:] ^ 1"),
    "asks twice": ("request.valid.eq(~taken)", "request.valid.eq(1)"),
    "waits with its ear closed": ("~request.payload.write", "taken"),
}


def bench(module, size):
    return run_block_bench(
        lambda **table: module.WishboneBridge(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.wishbone_bench",
        name="wishbone_bridge",
        parameters=SIZES[size],
        seed=20,
    )


@pytest.mark.parametrize("size", SIZES)
def test_bridge(size):
    bench(wishbone, size)


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_bench_finds_faults(fault):
    with pytest.raises(SimulationFailed):
        bench(mutated(wishbone, MUTANTS[fault]), "plain")
