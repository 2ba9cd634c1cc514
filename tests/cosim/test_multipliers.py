# amaranth: UnusedElaboratable=no
"""The multipliers in Verilator, in the forms that need no model of a primitive."""

import pytest

from celosia.hdl.family import Family
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierBank, MultiplierPlan
from celosia.sim.block_bench import run_block_bench

CARRY_CHAINS = MultiplierPlan(family=Family.GOWIN, primitives=0)


@pytest.mark.parametrize("plan", [EXPRESSIONS, CARRY_CHAINS], ids=["expressions", "carry chains"])
def test_products(plan):
    run_block_bench(
        lambda products: MultiplierBank(products=products, plan=plan),
        "celosia.sim.benches.multiplier_bank_bench",
        name="multipliers",
        parameters={"products": 5},
        seed=2,
    )


def test_primitives_go_to_who_comes_first():
    plan = MultiplierPlan(family=Family.ICE40, primitives=8)
    assert (plan.used(5), plan.after(5).used(100)) == (3, 5)
    assert plan.after(100).used(1) == 0
    assert MultiplierPlan(family=Family.ECP5).after(100).used(7) == 7
    assert EXPRESSIONS.used(7) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"family": "stratix"},
            "^family of multipliers must be one of ecp5, ice40, gowin, not 'stratix'$",
        ),
        ({"primitives": 8}, "^primitives of multipliers must come with a family$"),
        (
            {"family": Family.ECP5, "primitives": -1},
            "^primitives of multipliers must be a number from 0 on, not -1$",
        ),
    ],
)
def test_plan_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiplierPlan(**arguments)
