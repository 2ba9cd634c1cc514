# amaranth: UnusedElaboratable=no
"""The crossbar's emulator in Verilator."""

import pytest

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.hdl.crossbar.emulator import Emulator
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

IDEAL = {"tiles": 2, "rows": 8, "outputs": 2, "spares": 1, "cell_bits": 4, "adcs": 4}
WILD = {
    "seed": 77,
    "device_spread": 40,
    "set_spread": 60,
    "reset_spread": 90,
    "read_spread": 12,
    "product_spread": 30,
    "stuck_low": 3000,
    "stuck_high": 2000,
    "unformed": 1,
    "full_width": 3,
    "set_slope": 9000,
    "cell_gain": 900,
}
CASES = {
    "ideal": (IDEAL, {}, 8),
    "wild": (IDEAL, WILD, 2),
    "odd": (
        {
            "tiles": 3,
            "rows": 4,
            "outputs": 3,
            "spares": 0,
            "cell_bits": 2,
            "adcs": 6,
            "adc_bits": 5,
        },
        {
            **WILD, "unformed": 0, "stuck_low": 0, "stuck_high": 0, "set_by_line": 1,
            "read_spread": 2592, "product_spread": 115, "noise_fraction": 8,
        },
        1,
    ),
}  # fmt: skip


def run(config, emulator, rows_per_cycle, **wrong):
    def build(config, emulator):
        gateware = {**emulator, **wrong}
        return Emulator(
            CrossbarConfig(**config), EmulatorConfig(**gateware), rows_per_cycle=rows_per_cycle
        )

    run_block_bench(
        build,
        "celosia.sim.benches.emulator_bench",
        name="emulator",
        parameters={"config": config, "emulator": emulator},
        seed=3,
    )


@pytest.mark.parametrize("case", CASES)
def test_emulator(case):
    run(*CASES[case])


@pytest.mark.parametrize(
    ("case", "wrong"),
    [("wild", {"seed": 78}), ("odd", {"noise_fraction": 7}), ("odd", {"set_by_line": 0})],
)
def test_another_emulator_is_noticed(case, wrong):
    with pytest.raises(SimulationFailed):
        run(*CASES[case], **wrong)


def test_rows_per_cycle_must_fit():
    with pytest.raises(
        ValueError, match=r"^rows_per_cycle must be a power of two from 1 to 8, not 3$"
    ):
        Emulator(CrossbarConfig(**IDEAL), EmulatorConfig(), rows_per_cycle=3)
