"""The crossbar's MVM unit in Verilator."""

import pytest
from support.mvm_harness import MvmHarness

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.sim.block_bench import run_block_bench

CASES = {
    "plain": (
        {"tiles": 2, "rows": 16, "outputs": 3, "spares": 1, "cell_bits": 4, "adcs": 4},
        {"seed": 5, "product_spread": 20},
    ),
    "one output": (
        {
            "tiles": 1,
            "rows": 4,
            "outputs": 1,
            "spares": 0,
            "cell_bits": 2,
            "adcs": 1,
            "adc_bits": 4,
        },
        {},
    ),
    "all at once": (
        {
            "tiles": 3,
            "rows": 8,
            "outputs": 2,
            "spares": 2,
            "cell_bits": 1,
            "adcs": 64,
            "adc_bits": 4,
        },
        {"seed": 6, "product_spread": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_mvm_unit(case):
    config, emulator = CASES[case]
    run_block_bench(
        lambda config, emulator: MvmHarness(CrossbarConfig(**config), EmulatorConfig(**emulator)),
        "celosia.sim.benches.mvm_bench",
        name="mvm",
        parameters={"config": config, "emulator": emulator},
        seed=4,
    )
