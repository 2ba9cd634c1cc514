# amaranth: UnusedElaboratable=no
"""The front end on pins in Verilator, and faulty ones."""

import pytest
from support.mutants import mutated

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.hdl.crossbar import pin_front_end
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

CASES = {
    "two ADCs": ({"tiles": 2, "rows": 8, "outputs": 2, "adcs": 2, "adc_bits": 12}, 1, 5),
    "slow": ({"tiles": 1, "rows": 64, "outputs": 1, "spares": 0, "adcs": 4}, 3, 0),
}
MUTANTS = {
    "bits the wrong way": ("chain[-1]", "chain[0]"),
    "DACs swapped": ("Cat(dacs[0][-1], dacs[1][-1])", "Cat(dacs[1][-1], dacs[0][-1])"),
    "enabled for ever": ("(pins.enable, pins.pulse,", "(pins.pulse,"),
    "a frame too short": ("length - CONVERTER_BITS)", "length - CONVERTER_BITS + 1)"),
    "samples a bit late": ("bits(taken, [],", "bits([], taken,"),
    "goes on in SAFE": ('with m.If(safe):\n                m.next = "IDLE"', "pass"),
}


def bench(module, case):
    config, divider, settle = CASES[case]
    run_block_bench(
        lambda config: module.PinFrontEnd(CrossbarConfig(**config), divider=divider, settle=settle),
        "celosia.sim.benches.pin_front_end_bench",
        name="pin_front_end",
        parameters={"config": config},
        seed=5,
    )


@pytest.mark.parametrize("case", CASES)
def test_pins(case):
    bench(pin_front_end, case)


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_bench_finds_faults(fault):
    with pytest.raises(SimulationFailed):
        bench(mutated(pin_front_end, MUTANTS[fault]), "two ADCs")
