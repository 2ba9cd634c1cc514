# amaranth: UnusedElaboratable=no
"""The crossbar's commands and status in Verilator, against the golden controller."""

import pytest
from support.controller_harness import ControllerHarness
from support.mutants import mutated

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.hdl.crossbar import (
    controller,
    defect_map,
    event_counters,
    maintenance,
    row_wear,
    status,
)
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

PARAMETERS = {
    "config": {
        "tiles": 3, "rows": 8, "outputs": 4, "spares": 2, "cell_bits": 2, "adcs": 4,
        "max_word_line": 680, "max_line": 700, "max_width": 5, "unit_cycles": 2,
    },
    "emulator": {
        "seed": 7, "device_spread": 30, "set_spread": 40, "reset_spread": 40,
        "read_spread": 6, "product_spread": 8, "stuck_low": 2000, "stuck_high": 2000,
        "full_width": 1,
    },
}  # fmt: skip


def run(stalls, *, test_filter=None, **kinds):
    def harness(config, emulator, stalls):
        return ControllerHarness(CrossbarConfig(**config), EmulatorConfig(**emulator), **kinds)

    return run_block_bench(
        harness,
        "celosia.sim.benches.maintenance_bench",
        name="maintenance",
        parameters={**PARAMETERS, "stalls": stalls},
        seed=41,
        test_filter=test_filter,
    )


@pytest.mark.parametrize("stalls", [False, True])
def test_maintenance(stalls):
    run(stalls)


WRONG = {
    "count": (event_counters, "EventCounters", ("value + event", "value + 2 * event")),
    "drive": (event_counters, "EventCounters", ("drive + self.event.drive", "drive + 1")),
    "wear": (row_wear, "RowWear", ("before.data + 1", "before.data + 2")),
    "entry": (defect_map, "DefectMap", ("before.data & ~bit", "before.data & bit")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_the_bench_finds_wrong_counts(monkeypatch, name):
    module, block, change = WRONG[name]
    monkeypatch.setattr(status, block, getattr(mutated(module, change), block))
    with pytest.raises(SimulationFailed, match=r"(COUNTERS|WEAR|MAP) .* after"):
        run(False, test_filter="golden")


@pytest.mark.slow
def test_the_bench_finds_renewals_of_other_tiles(monkeypatch):
    change = ("word % config.rows", "word")
    monkeypatch.setattr(controller, "Maintenance", mutated(maintenance, change).Maintenance)
    with pytest.raises(SimulationFailed, match=r"WEAR .* after"):
        run(False, test_filter="golden")
