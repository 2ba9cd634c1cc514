"""The requantiser's multiplication, apart so that a board can put its own in place."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PipelinedMultiplier"]


class PipelinedMultiplier(wiring.Component):
    """A signed times an unsigned number, exactly.

    Latency: ``LATENCY`` enabled cycles; registers hold operands, product, and product once more, so
    that a replacement may cut the multiplication into two stages. Throughput: one each cycle. No
    flow control: whoever uses it stops all its registers together (`EnableInserter`).

    Parameters
    ----------
    a_bits, b_bits : int
        Widths of the operands.

    Members
    -------
    a : In(signed(a_bits))
        First operand.
    b : In(unsigned(b_bits))
        Second operand.
    product : Out(signed(a_bits + b_bits))
        a * b of ``LATENCY`` cycles ago.
    """

    LATENCY = 3

    a: Signal
    b: Signal
    product: Signal

    def __init__(self, *, a_bits, b_bits):
        self.a_bits = a_bits
        self.b_bits = b_bits
        super().__init__(
            {
                "a": In(signed(a_bits)),
                "b": In(unsigned(b_bits)),
                "product": Out(signed(a_bits + b_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        a = Signal.like(self.a, reset_less=True)
        b = Signal.like(self.b, reset_less=True)
        product = Signal.like(self.product, reset_less=True)
        output = Signal.like(self.product, reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b), output.eq(product)]
        m.d.comb += self.product.eq(output)
        return m
