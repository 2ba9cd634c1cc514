"""Multiplication and division bit by bit, where time doesn't matter and area does."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SerialDivider", "SerialMultiplier"]


class SerialMultiplier(wiring.Component):
    """An unsigned product; one adder, a bit of `factor` each cycle.

    Members:
        start: strobe: takes `multiplicand` and `factor`. What was under way is forgotten.
        done: level: `product` is there, factor_bits + 1 cycles after the start, until the next one.
    """

    def __init__(self, multiplicand_bits: int, factor_bits: int) -> None:
        self._bits = multiplicand_bits, factor_bits
        super().__init__(
            {
                "start": In(1),
                "multiplicand": In(multiplicand_bits),
                "factor": In(factor_bits),
                "done": Out(1),
                "product": Out(multiplicand_bits + factor_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        multiplicand, factor = Signal(self._bits[0]), Signal(self._bits[1])
        left = Signal(range(self._bits[1] + 1))
        m.d.comb += self.done.eq(left == 0)
        with m.If(self.start):
            m.d.sync += [
                multiplicand.eq(self.multiplicand),
                factor.eq(self.factor),
                left.eq(self._bits[1]),
                self.product.eq(0),
            ]
        with m.Elif(left != 0):
            m.d.sync += [
                self.product.eq((self.product << 1) + Mux(factor[-1], multiplicand, 0)),
                factor.eq(factor << 1),
                left.eq(left - 1),
            ]
        return m


class SerialDivider(wiring.Component):
    """An unsigned quotient, rounded down; one subtractor, a bit of the quotient each cycle.

    Members:
        start: strobe: takes `numerator` and `divisor`, which isn't 0. What was under way is
            forgotten.
        done: level: `quotient` and `overflow` are there, quotient_bits + 2 cycles after the start,
            until the next one.
        overflow: the quotient doesn't fit; `quotient` means nothing.
    """

    def __init__(self, numerator_bits: int, divisor_bits: int, quotient_bits: int) -> None:
        self._bits = numerator_bits, divisor_bits, quotient_bits
        super().__init__(
            {
                "start": In(1),
                "numerator": In(numerator_bits),
                "divisor": In(divisor_bits),
                "done": Out(1),
                "quotient": Out(quotient_bits),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        numerator_bits, divisor_bits, quotient_bits = self._bits
        rest, divisor = Signal(numerator_bits), Signal(divisor_bits + quotient_bits)
        left = Signal(range(quotient_bits + 2))
        fits = Signal()
        m.d.comb += [self.done.eq(left == 0), fits.eq(rest >= divisor)]
        with m.If(self.start):
            m.d.sync += [
                rest.eq(self.numerator),
                divisor.eq(self.divisor << quotient_bits),
                left.eq(quotient_bits + 1),
                self.overflow.eq(0),
            ]
        with m.Elif(left != 0):
            # The first bit is the one above the quotient.
            m.d.sync += [
                self.quotient.eq((self.quotient << 1) | fits),
                divisor.eq(divisor >> 1),
                left.eq(left - 1),
            ]
            with m.If(fits):
                m.d.sync += rest.eq(rest - divisor)
            with m.If(left == quotient_bits + 1):
                m.d.sync += self.overflow.eq(fits)
        return m
