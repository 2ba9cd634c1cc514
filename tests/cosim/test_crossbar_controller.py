# amaranth: UnusedElaboratable=no
"""The crossbar's controller in Verilator: programming and products on one port."""

import pytest
from support.controller_harness import ControllerHarness
from support.mutants import mutated

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.hdl.crossbar import controller
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

PARAMETERS = {
    "config": {
        "tiles": 4, "rows": 8, "outputs": 3, "spares": 1, "cell_bits": 4, "adcs": 2,
        "max_word_line": 680, "max_line": 700, "max_width": 5, "unit_cycles": 2,
    },
    "emulator": {
        "seed": 3, "device_spread": 30, "set_spread": 40, "reset_spread": 40, "read_spread": 6,
        "stuck_low": 2000, "stuck_high": 2000, "full_width": 1,
    },
}  # fmt: skip


def run(*, test_filter=None, **kinds):
    def harness(config, emulator):
        return ControllerHarness(CrossbarConfig(**config), EmulatorConfig(**emulator), **kinds)

    return run_block_bench(
        harness,
        "celosia.sim.benches.controller_bench",
        name="controller",
        parameters=PARAMETERS,
        seed=31,
        test_filter=test_filter,
    )


def test_controller():
    run()


@pytest.mark.slow
def test_the_bench_finds_units_that_do_not_wait_for_each_other():
    held = "self.commands.valid | programmer.busy | maintenance.busy"
    change = (f"mvm.hold.eq({held})", "mvm.hold.eq(0)")
    with pytest.raises(SimulationFailed):
        run(controller=mutated(controller, change).Controller, test_filter="both")


@pytest.mark.slow
def test_the_monitor_finds_an_interlock_that_is_not_connected():
    change = ("limiter.interlock.eq(self.interlock)", "limiter.interlock.eq(1)")
    with pytest.raises(SimulationFailed, match=r"rules .* broken"):
        run(controller=mutated(controller, change).Controller, test_filter="fuzz")
