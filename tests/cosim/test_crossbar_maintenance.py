# amaranth: UnusedElaboratable=no
"""The crossbar's commands and status in Verilator, against the golden controller."""

import pytest
from support.controller_harness import ControllerHarness
from support.mutants import mutated

from celosia.golden.crossbar.config import CrossbarConfig, WeightMapping
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.hdl.crossbar import (
    calibrator,
    column_meter,
    controller,
    defect_map,
    event_counters,
    maintenance,
    mvm_unit,
    product_reader,
    repairer,
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


DISTORTED = {"tiles": 2, "rows": 16, "outputs": 3, "spares": 1, "cell_bits": 4, "adc_bits": 9}


def run(which, *, stalls=False, mapping="differential"):
    """Tests of the bench by name; the emulator's cells outlive reset, so that each needs a
    simulation of its own."""

    def harness(config, emulator, stalls):
        return ControllerHarness(CrossbarConfig(**config), EmulatorConfig(**emulator))

    return run_block_bench(
        harness,
        "celosia.sim.benches.maintenance_bench",
        name="maintenance",
        parameters={
            **PARAMETERS,
            "config": {**PARAMETERS["config"], "mapping": mapping},
            "stalls": stalls,
        },
        seed=41,
        test_filter=which,
    )


def run_calibration(which=None, *, mapping="differential"):
    def harness(config):
        return ControllerHarness(CrossbarConfig(**config), None)

    return run_block_bench(
        harness,
        "celosia.sim.benches.calibration_bench",
        name="calibration",
        # All the columns of an offset mapping at once, or half of the differential ones.
        parameters={
            "config": {**DISTORTED, "mapping": mapping, "adcs": 10 if mapping == "offset" else 8}
        },
        seed=42,
        test_filter=which,
    )


@pytest.mark.parametrize(
    ("which", "stalls"),
    [("answers", False), ("answers", True), ("repairs", True), ("aborts", True)],
)
def test_maintenance(which, stalls):
    run(which, stalls=stalls)


@pytest.mark.parametrize("mapping", WeightMapping)
def test_calibration(mapping):
    run_calibration(mapping=mapping)


def test_repairs_beside_a_reference():
    run("repairs", mapping="offset")


WRONG = {
    "count": ("answers", status, event_counters, "value + event", "value + 2 * event"),
    "drive": ("answers", status, event_counters, "drive + self.event.drive", "drive + 1"),
    "wear": ("answers", status, row_wear, "before.data + 1", "before.data + 2"),
    "entry": ("answers", status, defect_map, "before.data & ~bit", "before.data & bit"),
    "renewal": ("answers", controller, maintenance, "word % config.rows", "word"),
    "first of equals": (
        "repairs",
        maintenance,
        repairer,
        "harm.data > worst",
        "harm.data >= worst",
    ),
    "no better": ("repairs", maintenance, repairer, "best < worst", "best <= worst"),
    "slices": ("repairs", maintenance, repairer, "(part * config.cell_bits)", "0"),
    "moved": ("repairs", maintenance, repairer, "old.data == now", "physical == now"),
    "zeros": ("calibration", calibrator, column_meter, "before.zero + Mux", "Mux"),
    "rounding": ("calibration", maintenance, calibrator, "+ (found << GAIN_SHIFT)", ""),
    "overflow": ("calibration", maintenance, calibrator, "& ~divider.overflow", ""),
    "saturation": ("calibration", maintenance, calibrator, "& ~meter.saturated", ""),
    "leak": ("calibration", maintenance, calibrator, "(scalars.leak << row_bits)", "0"),
    "offset": ("calibration", maintenance, calibrator, "rounded > lowest, lowest", "0, lowest"),
    "in use": (
        *("calibration", maintenance, calibrator),
        *("used_total + meter.total", "used_total - meter.total"),
    ),
    "drift": ("calibration", maintenance, calibrator, "today.eq(today << 1)", "today.eq(today)"),
    "forgetting": ("calibration", maintenance, calibrator, "CorrectionField.ADC_GAIN)", "7)"),
    "reissue": ("calibration", mvm_unit, product_reader, " & ~job.probe)", ")"),
    "gain code": ("calibration", controller, mvm_unit, "known.eq(0), mapping", "mapping"),
}
BLOCKS = {
    event_counters: "EventCounters",
    row_wear: "RowWear",
    defect_map: "DefectMap",
    maintenance: "Maintenance",
    repairer: "Repairer",
    mvm_unit: "MvmUnit",
    calibrator: "Calibrator",
    column_meter: "ColumnMeter",
    product_reader: "ProductReader",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_the_bench_finds_wrong_blocks(monkeypatch, name):
    which, user, module, right, wrong = WRONG[name]
    block = BLOCKS[module]
    monkeypatch.setattr(user, block, getattr(mutated(module, (right, wrong)), block))
    with pytest.raises(SimulationFailed, match=r", not |expected|answers == "):
        run_calibration() if which == "calibration" else run(which, stalls=which == "repairs")
