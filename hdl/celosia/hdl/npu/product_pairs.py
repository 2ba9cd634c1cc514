"""Sums of two products each, as an array without registers between its cells adds them first."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.family import Family
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS
from celosia.hdl.npu.multiplier_primitives import Ice40PairSum
from celosia.hdl.npu.multipliers import MultiplierBank

__all__ = ["ProductPairs"]


class ProductPairs(wiring.Component):
    """Sums of pairs of int8 products that move together: as a `MultiplierBank`, and its adders.

    A SB_MAC16 of iCE40 holds all of a pair: factors, products and sum.

    Latency: 3 enabled cycles. Throughput: all sums every enabled cycle. Range: exact. None of the
    registers is reset.

    Parameters
    ----------
    pairs : int
        How many.
    plan : MultiplierPlan
        Forms of the products; the first pairs are the primitives.

    Members
    -------
    enable : In(1)
        Move at this clock edge; all keep their values otherwise.
    a : In(signed(8)), two for each pair
        First factors.
    b : In(signed(8)), two for each pair
        Second factors.
    take : In(1)
        The products take `b` at this edge for this `a` and those after it. Must be low at edges
        that aren't enabled.
    sum : Out(signed(17)), each
        ``a * b + a * b`` of the third enabled edge before.
    """

    enable: Signal
    a: data.View
    b: data.View
    take: Signal
    sum: data.View

    def __init__(self, *, pairs, plan):
        self._pairs = pairs
        self._plan = plan
        factors = data.ArrayLayout(signed(8), 2 * pairs)
        super().__init__(
            {
                "enable": In(1),
                "a": In(factors),
                "b": In(factors),
                "take": In(1),
                "sum": Out(data.ArrayLayout(signed(PRODUCT_BITS + 1), pairs)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        whole = self._plan.used(2 * self._pairs) if self._plan.family is Family.ICE40 else 0
        for pair in range(whole):
            m.submodules[f"pair_{pair}"] = unit = Ice40PairSum()
            m.d.comb += [
                unit.enable.eq(self.enable),
                unit.take.eq(self.take),
                unit.a.eq(Cat(self.a[2 * pair], self.a[2 * pair + 1])),
                unit.b.eq(Cat(self.b[2 * pair], self.b[2 * pair + 1])),
                self.sum[pair].eq(unit.sum),
            ]
        others = self._pairs - whole
        if not others:
            return m
        m.submodules.bank = bank = MultiplierBank(
            products=2 * others, plan=self._plan.after(2 * whole)
        )
        factor_bits = 2 * whole * 8
        m.d.comb += [
            bank.enable.eq(self.enable),
            bank.take.eq(self.take.replicate(2 * others)),
            bank.a.eq(self.a.as_value()[factor_bits:]),
            bank.b.eq(self.b.as_value()[factor_bits:]),
        ]
        for number in range(others):
            added = Signal(signed(PRODUCT_BITS + 1), name=f"added_{number}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += added.eq(bank.product[2 * number] + bank.product[2 * number + 1])
            m.d.comb += self.sum[whole + number].eq(added)
        return m
