"""What the requantiser's float modes need around the multiplication.

Both modes compute as `celosia.golden.quantization` defines their integer forms. A result is only
needed as far as int8 can tell it apart, so all beyond a few bits more saturates early.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RESULT_BITS", "Normalizer", "ProductRounder"]

MAGNITUDE_BITS = 32
RESULT_BITS = 11
"""A sign, and a magnitude that is exact up to 512; above, it is at least 512."""


class Normalizer(wiring.Component):
    """Shifts a magnitude up until its highest bit is set; for float32, rounds it to 24 bits.

    Latency: ``LATENCY`` enabled cycles; ``to_float32`` is looked at in the last one. Throughput:
    one each cycle. No flow control.

    Parameters
    ----------
    rounds : bool
        Whether it can round.

    Members
    -------
    magnitude : In(32)
        0 to 2^31.
    to_float32 : In(1)
        Round to 24 significant bits, half to even.
    operand : Out(32)
        magnitude * 2^zeros, in [2^31, 2^32), or that / 2^8 rounded, in [2^23, 2^24]; 0 for 0.
    zeros : Out(5)
        Places that the magnitude was shifted.
    """

    LATENCY = 3

    magnitude: Signal
    to_float32: Signal
    operand: Signal
    zeros: Signal

    def __init__(self, *, rounds):
        self.rounds = rounds
        super().__init__(
            {
                "magnitude": In(MAGNITUDE_BITS),
                "to_float32": In(1),
                "operand": Out(MAGNITUDE_BITS),
                "zeros": Out(5),
            }
        )

    def elaborate(self, platform):
        m = Module()
        value, zeros = self.magnitude, []
        # Two steps of bisection in the first stage, three in the second.
        for stage, steps in enumerate(((16, 8), (4, 2, 1))):
            for step in steps:
                empty = Signal(name=f"empty_{step}")
                shifted = Signal(MAGNITUDE_BITS, name=f"shifted_{step}")
                m.d.comb += [
                    empty.eq(~value[MAGNITUDE_BITS - step :].any()),
                    shifted.eq(Mux(empty, value << step, value)),
                ]
                value, zeros = shifted, [empty, *zeros]
            normal = Signal(MAGNITUDE_BITS, name=f"normal_{stage}", reset_less=True)
            count = Signal(len(zeros), name=f"zeros_{stage}", reset_less=True)
            m.d.sync += [normal.eq(value), count.eq(Cat(*zeros))]
            value, zeros = normal, list(count)

        operand = Signal(MAGNITUDE_BITS, reset_less=True)
        m.d.sync += operand.eq(value)
        if self.rounds:
            kept, half, below = value[8:], value[7], value[:7].any()
            with m.If(self.to_float32):
                m.d.sync += operand.eq(kept + (half & (below | kept[0])))
        count = Signal(5, name="zeros_2", reset_less=True)
        m.d.sync += count.eq(Cat(*zeros))
        m.d.comb += [self.operand.eq(operand), self.zeros.eq(count)]
        return m


class ProductRounder(wiring.Component):
    """Rounds a product to its significant bits, then to a whole number.

    Latency: ``LATENCY`` enabled cycles. Throughput: one each cycle. No flow control.

    Parameters
    ----------
    product_bits : int
        The product is 0 or in [2^(product_bits - 2), 2^product_bits).
    significant_bits : int
        Width of the float's significand; this rounding is half to even.
    ties_to_even : bool
        How halves are rounded to whole numbers: to even, else away from zero.

    Members
    -------
    product : In(product_bits)
        Magnitude.
    scale : In(signed(10))
        Power of two by which the product is to be multiplied.
    negative : In(1)
        Sign of the result.
    result : Out(signed(11))
        Exact from -511 to 511; beyond, at least 512 away from zero.
    """

    LATENCY = 3

    product: Signal
    scale: Signal
    negative: Signal
    result: Signal

    def __init__(self, *, product_bits, significant_bits, ties_to_even):
        self.product_bits = product_bits
        self.significant_bits = significant_bits
        self.ties_to_even = ties_to_even
        super().__init__(
            {
                "product": In(product_bits),
                "scale": In(signed(10)),
                "negative": In(1),
                "result": Out(signed(RESULT_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self.significant_bits
        product = self.product

        # To `bits` significant bits: the product has one of two lengths. Its rounded value is
        # significand * 2^(drop - 2 + long), where carrying into one more bit does no harm.
        is_long = product[-1]
        drop = self.product_bits - bits
        short_kept, short_rest = product[drop - 1 : -1], product[: drop - 1]
        long_kept, long_rest = product[drop:], product[:drop]
        kept = Mux(is_long, long_kept, short_kept)
        half = Mux(is_long, long_rest[-1], short_rest[-1])
        below = short_rest[:-1].any() | (is_long & short_rest[-1])
        significand = Signal(bits + 1, reset_less=True)
        shift = Signal(signed(11), reset_less=True)
        nonzero = Signal(reset_less=True)
        negative_1 = Signal(reset_less=True)
        m.d.sync += [
            significand.eq(kept + (half & (below | kept[0]))),
            shift.eq(self.scale + self.product_bits + is_long),
            nonzero.eq(product[-2:].any()),
            negative_1.eq(self.negative),
        ]

        # Up by `shift`, with the point above the significand: 10 places up it saturates for sure,
        # below 0 places nothing is left that could round to 1.
        places = RESULT_BITS - 1
        aligned = Signal(bits + 1 + places, reset_less=True)
        saturated = Signal(reset_less=True)
        negative_2 = Signal(reset_less=True)
        m.d.sync += [
            aligned.eq(Mux(shift < 0, 0, significand << shift[:4])),
            saturated.eq(nonzero & (shift > places)),
            negative_2.eq(negative_1),
        ]

        whole, half, below = aligned[bits + 1 :], aligned[bits], aligned[:bits].any()
        up = half & (below | whole[0]) if self.ties_to_even else half
        magnitude = Mux(saturated, (1 << places) - 1, whole + up)[:places]
        result = Signal(signed(RESULT_BITS), reset_less=True)
        m.d.sync += result.eq(Mux(negative_2, -magnitude, magnitude))
        m.d.comb += self.result.eq(result)
        return m
