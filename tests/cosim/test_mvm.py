"""The crossbar's MVM unit in Verilator."""

import pytest
from support import mvm_harness
from support.mutants import mutated
from support.mvm_harness import MvmHarness

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.hdl.crossbar import mvm_unit, product_corrector
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

CASES = {
    "plain": (
        {"tiles": 2, "rows": 16, "outputs": 3, "spares": 1, "cell_bits": 4, "adcs": 4},
        {"seed": 5, "product_spread": 20},
    ),
    "offset": (
        {
            "tiles": 3,
            "rows": 16,
            "outputs": 3,
            "spares": 1,
            "cell_bits": 2,
            "adc_bits": 6,
            "mapping": "offset",
            "adcs": 4,
        },
        {"seed": 7, "product_spread": 20},
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


def run(case):
    config, emulator = CASES[case]
    run_block_bench(
        lambda config, emulator: MvmHarness(CrossbarConfig(**config), EmulatorConfig(**emulator)),
        "celosia.sim.benches.mvm_bench",
        name="mvm",
        parameters={"config": config, "emulator": emulator},
        seed=4,
    )


@pytest.mark.parametrize("case", CASES)
def test_mvm_unit(case):
    run(case)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "module", "right", "wrong"),
    [
        (mvm_unit, product_corrector, "config.reference, own", "own, own"),
        (
            mvm_harness,
            mvm_unit,
            "used[config.reference :].eq(~0)",
            "used[config.reference :].eq(0)",
        ),
    ],
)
def test_the_bench_finds_a_reference_left_out(monkeypatch, user, module, right, wrong):
    block = {product_corrector: "ProductCorrector", mvm_unit: "MvmUnit"}[module]
    monkeypatch.setattr(user, block, getattr(mutated(module, (right, wrong)), block))
    with pytest.raises(SimulationFailed, match=r", not |expected"):
        run("offset")
