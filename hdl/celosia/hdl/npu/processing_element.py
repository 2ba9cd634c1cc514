"""One multiply-accumulate cell of the systolic array."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Multiplier", "ProcessingElement"]

PRODUCT_BITS = 16
"""Width that holds every product of two int8."""


class Multiplier(wiring.Component):
    """Product of two int8 with a register at its output.

    Latency: 1 enabled cycle. Throughput: a product every enabled cycle. Range: exact. The register
    is not reset. A component of its own, so that the primitive of an FPGA family can take its
    place.

    Members
    -------
    enable : In(1)
        Take the product at this clock edge; the output keeps its value otherwise.
    a, b : In(signed(8))
        Factors.
    product : Out(signed(16))
        ``a * b`` as of the last enabled edge.
    """

    enable: Signal
    a: Signal
    b: Signal
    product: Signal

    def __init__(self):
        super().__init__(
            {
                "enable": In(1),
                "a": In(signed(8)),
                "b": In(signed(8)),
                "product": Out(signed(PRODUCT_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        with m.If(self.enable):
            m.d.sync += product.eq(self.a * self.b)
        m.d.comb += self.product.eq(product)
        return m


class ProcessingElement(wiring.Component):
    """Weight-stationary cell: adds activation times weight to the sum that passes through.

    The weight in use has a shadow, which takes the next tile's weight meanwhile. Every register
    moves in enabled cycles only, and none is reset.

    Latency, in enabled cycles: activation 1; from activation to sum 3; from the incoming sum 1.
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
    swap : In(1)
        The activation at the input is the first to be multiplied by the shadow's weight as it
        stands before this edge.
    load : In(1)
        The shadow takes ``weight``.
    weight : In(signed(8))
        Weight of the next tile.
    """

    enable: Signal
    i_activation: Signal
    o_activation: Signal
    i_sum: Signal
    o_sum: Signal
    swap: Signal
    load: Signal
    weight: Signal

    def __init__(self, *, sum_bits):
        self.sum_bits = sum_bits
        super().__init__(
            {
                "enable": In(1),
                "i_activation": In(signed(8)),
                "o_activation": Out(signed(8)),
                "i_sum": In(signed(sum_bits)),
                "o_sum": Out(signed(sum_bits)),
                "swap": In(1),
                "load": In(1),
                "weight": In(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        activation = Signal(signed(8), reset_less=True)
        active = Signal(signed(8), reset_less=True)
        shadow = Signal(signed(8), reset_less=True)
        total = Signal(signed(self.sum_bits), reset_less=True)
        m.submodules.multiplier = multiplier = Multiplier()
        with m.If(self.enable):
            m.d.sync += [
                activation.eq(self.i_activation),
                total.eq(self.i_sum + multiplier.product),
            ]
            with m.If(self.swap):
                m.d.sync += active.eq(shadow)
            with m.If(self.load):
                m.d.sync += shadow.eq(self.weight)
        m.d.comb += [
            multiplier.enable.eq(self.enable),
            multiplier.a.eq(activation),
            multiplier.b.eq(active),
            self.o_activation.eq(activation),
            self.o_sum.eq(total),
        ]
        return m
