"""The NPU's int8 multipliers: products in a bank, in the form that suits an FPGA family."""

from dataclasses import dataclass

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.family import Family
from celosia.hdl.npu.carry_chain_multiplier import CarryChainMultiplier
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS, multiplier_lane
from celosia.hdl.npu.multiplier_primitives import (
    Ecp5Multiplier,
    GowinMultiplier,
    Ice40MultiplierPair,
)

__all__ = ["EXPRESSIONS", "MultiplierBank", "MultiplierPlan"]

_PRIMITIVES = {
    Family.ECP5: Ecp5Multiplier,
    Family.ICE40: Ice40MultiplierPair,
    Family.GOWIN: GowinMultiplier,
}


@dataclass(frozen=True, kw_only=True)
class MultiplierPlan:
    """Which multipliers are primitives of an FPGA family, and which are built of carry chains.

    Whatever the plan, products and cycles are the same.

    Parameters
    ----------
    family : Family, optional
        None leaves the form of all of them to synthesis, which is right for simulation.
    primitives : int, optional
        Primitives that may be used: MULT18X18D of ECP5, SB_MAC16 of iCE40 (two products each),
        MULT9X9 of Gowin. What is left is built of carry chains. None: as many as there are
        products.
    """

    family: Family | None = None
    primitives: int | None = None

    def __post_init__(self):
        if self.family is not None and self.family not in list(Family):
            known = ", ".join(Family)
            raise ValueError(f"family of multipliers must be one of {known}, not {self.family!r}")
        if self.primitives is not None and self.family is None:
            raise ValueError("primitives of multipliers must come with a family")
        if self.primitives is not None and (
            not isinstance(self.primitives, int) or self.primitives < 0
        ):
            raise ValueError(
                f"primitives of multipliers must be a number from 0 on, not {self.primitives!r}"
            )

    def used(self, products):
        """Primitives that a bank of so many products takes."""
        if self.family is None:
            return 0
        needed = -(-products // _PRIMITIVES[self.family].LANES)
        return needed if self.primitives is None else min(needed, self.primitives)

    def after(self, products):
        """The plan for those that come after a bank of so many products."""
        if self.primitives is None:
            return self
        return MultiplierPlan(family=self.family, primitives=self.primitives - self.used(products))


EXPRESSIONS = MultiplierPlan()
"""All products as expressions, for synthesis to find a form."""


class _Behavioural(wiring.Component):
    """One product as an expression, in the form that `multiplier_lane` describes."""

    LANES = 1

    def __init__(self):
        super().__init__({"enable": In(1), "lane_0": In(multiplier_lane())})

    def elaborate(self, platform):
        m = Module()
        lane = self.lane_0
        a = Signal(signed(8), reset_less=True)
        b = Signal(signed(8), reset_less=True)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        with m.If(self.enable):
            m.d.sync += [a.eq(lane.a), product.eq(a * b)]
        with m.If(lane.take):
            m.d.sync += b.eq(lane.b)
        m.d.comb += lane.product.eq(product)
        return m


class MultiplierBank(wiring.Component):
    """Products of two int8 that move together.

    Latency: 2 enabled cycles. Throughput: all products every enabled cycle. Range: exact. None of
    the registers is reset.

    Parameters
    ----------
    products : int
        How many.
    plan : MultiplierPlan
        Their forms; the first products are the primitives.

    Members
    -------
    enable : In(1)
        Move at this clock edge; all keep their values otherwise.
    a : In(signed(8)), each
        First factors.
    b : In(signed(8)), each
        Second factors.
    take : In(1), each
        The product takes `b` at this edge for this `a` and those after it. Must be low at edges
        that aren't enabled.
    product : Out(signed(16)), each
        ``a * b`` of the enabled edge before the last.
    """

    enable: Signal
    a: data.View
    b: data.View
    take: Signal
    product: data.View

    def __init__(self, *, products, plan):
        self._products = products
        self._plan = plan
        factors = data.ArrayLayout(signed(8), products)
        super().__init__(
            {
                "enable": In(1),
                "a": In(factors),
                "b": In(factors),
                "take": In(products),
                "product": Out(data.ArrayLayout(signed(PRODUCT_BITS), products)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        place = 0
        primitives = self._plan.used(self._products)
        while place < self._products:
            if self._plan.family is None:
                unit = _Behavioural()
            elif primitives:
                unit = _PRIMITIVES[self._plan.family]()
                primitives -= 1
            else:
                unit = CarryChainMultiplier(self._plan.family)
            m.submodules[f"unit_{place}"] = unit
            m.d.comb += unit.enable.eq(self.enable)
            for number in range(unit.LANES):
                lane = getattr(unit, f"lane_{number}")
                if place < self._products:
                    m.d.comb += [
                        lane.a.eq(self.a[place]),
                        lane.b.eq(self.b[place]),
                        lane.take.eq(self.take[place]),
                        self.product[place].eq(lane.product),
                    ]
                place += 1
        return m
