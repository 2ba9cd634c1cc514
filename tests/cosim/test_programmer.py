# amaranth: UnusedElaboratable=no
"""The crossbar's programmer and limiter in Verilator."""

import pytest
from support.docs_model import model_of_the_docs
from support.mutants import mutated
from support.programmer_harness import ProgrammerHarness

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.golden.crossbar.recipe import limits_for
from celosia.hdl.crossbar import limiter, programmer
from celosia.hdl.crossbar.safety_monitor import Rule
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

PARAMETERS = {
    "config": {
        "tiles": 4, "rows": 8, "outputs": 3, "spares": 1, "cell_bits": 4, "adcs": 2,
        "max_word_line": 680, "max_line": 700, "max_width": 5, "unit_cycles": 2,
    },
    "emulator": {
        "seed": 3, "unformed": 1, "device_spread": 30, "set_spread": 40, "reset_spread": 40,
        "read_spread": 6, "stuck_low": 2000, "stuck_high": 2000, "full_width": 1,
    },
}  # fmt: skip

BROKEN = {
    "interlock": (Rule.CUT, ("self.abort | ~self.interlock |", "self.abort |")),
    "line": (Rule.LIMIT, ("& (request.line <= config.max_line)", "")),
}


WRONG = {
    "flips": ("m.d.sync += flips.eq(flips + 1)", "m.d.sync += flips.eq(flips + 2)"),
    "confirm": ("loose = trusting | (confirming != 0)", "loose = trusting"),
    "start": ("m.d.comb += stepper.start.eq(fresh)", "m.d.comb += stepper.start.eq(1)"),
}


def run(*, test_filter=None, **kinds):
    def harness(config, emulator):
        return ProgrammerHarness(CrossbarConfig(**config), EmulatorConfig(**emulator), **kinds)

    return run_block_bench(
        harness,
        "celosia.sim.benches.programmer_bench",
        name="programmer",
        parameters=PARAMETERS,
        seed=21,
        test_filter=test_filter,
    )


def test_programmer():
    run()


@pytest.mark.parametrize("name", ["interlock", pytest.param("line", marks=pytest.mark.slow)])
def test_the_monitor_finds_a_broken_limiter(name):
    rule, change = BROKEN[name]
    with pytest.raises(SimulationFailed, match="broken") as caught:
        run(limiter=mutated(limiter, change).Limiter, test_filter="fuzz")
    bits = int(str(caught.value).split("AssertionError: rules ")[1].split()[0], 2)
    assert bits >> rule & 1


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_the_bench_finds_a_wrong_programmer(name):
    with pytest.raises(SimulationFailed, match="not \\("):
        run(programmer=mutated(programmer, WRONG[name]).Programmer, test_filter="pulses")


@pytest.mark.parametrize("rows", [4, pytest.param(256, marks=pytest.mark.slow)])
def test_the_same_device_cells_take_the_same_pulses(rows):
    run_on_cells("hfox-radar", rows)


def test_the_same_cells_of_a_passive_array_disturb_each_other_alike(tmp_path):
    device = tmp_path / "passive.toml"
    device.write_text('base = "hfox-radar"\nbiasing = "third"\nfloating_reads = true\n')
    run_on_cells(str(device), 4)


def run_on_the_model_of_the_docs(source):
    sizes = {"rows": 16, "outputs": 2, "spares": 0, "cell_bits": 2, "adcs": 4}
    limits = {"max_word_line": 680, "max_line": 700, "max_width": 5, "unit_cycles": 2}

    def harness(config, source):
        return ProgrammerHarness(CrossbarConfig(**config), None)

    run_block_bench(
        harness,
        "celosia.sim.benches.programmer_model_bench",
        name="programmer",
        parameters={"config": {**sizes, **limits}, "source": source},
        seed=23,
    )


def test_the_model_of_the_docs_stands_behind_the_port():
    run_on_the_model_of_the_docs(model_of_the_docs())


def test_the_models_noise_is_seen():
    # Drawn anew where the golden programmer has it from the seed: the cells must differ.
    source = model_of_the_docs().replace("default_rng(seed)", "default_rng()")
    with pytest.raises(SimulationFailed, match="not \\("):
        run_on_the_model_of_the_docs(source)


def run_on_cells(name, rows):
    device = load_device(name)
    sizes = {"rows": rows, "outputs": 1, "spares": 0, "cell_bits": 2, "adc_bits": 12, "adcs": 1}

    def harness(config, device):
        return ProgrammerHarness(CrossbarConfig(**config), None)

    run_block_bench(
        harness,
        "celosia.sim.benches.programmer_physics_bench",
        name="programmer",
        parameters={"config": {**sizes, **limits_for(device)}, "device": name},
        seed=22,
        timeout_s=3600,
    )
