"""What comes behind the multiplication in the requantiser's integer modes."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.rounding import RoundingMode
from celosia.hdl.npu.pipeline import delayed
from celosia.hdl.npu.requantizer_steps import MODE_BITS

__all__ = ["ProductScaler"]

PRODUCT_BITS = 64
HIGH_BITS = 33


class ProductScaler(wiring.Component):
    """Rounds a product P to h = (P + (nudge << 30)) >> 31, and scales that.

    The result is (h + half - (away & h < 0)) >> right, with half = 2^(right - 1), or 0 where
    `right` is 0; DOUBLE nudges, SINGLE does where `right` is 0, and all but SINGLE round away from
    zero.

    Latency: ``LATENCY`` enabled cycles. Throughput: one each cycle. No flow control.

    Members
    -------
    product : In(64)
        P.
    right : In(5)
        Places to shift right.
    mode : In
        DOUBLE, SINGLE or AVERAGE; must not change.
    result : Out(signed(34))
        Of the product of ``LATENCY`` cycles ago.
    """

    LATENCY = 3

    product: Signal
    right: Signal
    mode: Signal
    result: Signal

    def __init__(self):
        super().__init__(
            {
                "product": In(PRODUCT_BITS),
                "right": In(5),
                "mode": In(MODE_BITS),
                "result": Out(signed(HIGH_BITS + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        one_stage = self.right == 0
        nudge = Mux(self.mode == RoundingMode.SINGLE, one_stage, self.mode == RoundingMode.DOUBLE)
        away = self.mode != RoundingMode.SINGLE
        high = Signal(signed(HIGH_BITS), reset_less=True)
        m.d.sync += high.eq(self.product[31:].as_signed() + (nudge & self.product[30]))
        # half - 1 has ones below the place of half; what is missing comes in as the adder's carry.
        right_1 = delayed(m, self.right, 1, "right_after")
        below_half = Cat(right_1 > place + 1 for place in range(31))
        carry = (right_1 != 0) & ~(away & high[-1])
        total = Signal(signed(HIGH_BITS + 1), reset_less=True)
        m.d.sync += total.eq((Cat(1, high).as_signed() + Cat(carry, below_half)) >> 1)
        right_2 = delayed(m, right_1, 1, "right_after_next")
        result = Signal(signed(HIGH_BITS + 1), reset_less=True)
        m.d.sync += result.eq(total >> right_2)
        m.d.comb += self.result.eq(result)
        return m
