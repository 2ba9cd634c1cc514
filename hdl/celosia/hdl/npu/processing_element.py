"""One multiply-accumulate cell of the systolic array, but for its multiplier."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS

__all__ = ["ProcessingElement"]


class ProcessingElement(wiring.Component):
    """Weight-stationary cell: adds activation times weight to the sum that passes through.

    Its multiplier stands in the array's `MultiplierBank`, which multiplies ``i_activation`` by the
    weight in use; here is the weight's shadow, which takes the next tile's meanwhile. Every
    register moves in enabled cycles only, and none is reset.

    Latency, in enabled cycles: activation 1; from product and incoming sum to sum 1, and so from
    activation to sum 3.
    Range: the sum must fit ``sum_bits`` bits, which nothing checks.

    Parameters
    ----------
    sum_bits : int
        Width of the sums.

    Members
    -------
    enable : In(1)
        Move at this clock edge.
    i_activation, o_activation : In(signed(8)), Out(signed(8))
        From the left neighbour, to the right neighbour.
    i_sum, o_sum : In(signed(sum_bits)), Out(signed(sum_bits))
        From the neighbour above, to the one below.
    load : In(1)
        The shadow takes ``weight``. Must be low at edges that aren't enabled.
    weight : In(signed(8))
        Weight of the next tile.
    shadow : Out(signed(8))
        The weight that the multiplier takes with the first activation of the next tile.
    product : In(signed(16))
        What the multiplier makes.
    """

    enable: Signal
    i_activation: Signal
    o_activation: Signal
    i_sum: Signal
    o_sum: Signal
    load: Signal
    weight: Signal
    shadow: Signal
    product: Signal

    def __init__(self, *, sum_bits):
        self.sum_bits = sum_bits
        super().__init__(
            {
                "enable": In(1),
                "i_activation": In(signed(8)),
                "o_activation": Out(signed(8)),
                "i_sum": In(signed(sum_bits)),
                "o_sum": Out(signed(sum_bits)),
                "load": In(1),
                "weight": In(signed(8)),
                "shadow": Out(signed(8)),
                "product": In(signed(PRODUCT_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        activation = Signal(signed(8), reset_less=True)
        shadow = Signal(signed(8), reset_less=True)
        total = Signal(signed(self.sum_bits), reset_less=True)
        with m.If(self.enable):
            m.d.sync += [
                activation.eq(self.i_activation),
                total.eq(self.i_sum + self.product),
            ]
        with m.If(self.load):
            m.d.sync += shadow.eq(self.weight)
        m.d.comb += [
            self.o_activation.eq(activation),
            self.o_sum.eq(total),
            self.shadow.eq(shadow),
        ]
        return m
