"""A requantiser's lane that works a bit a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.rounding import RoundingMode
from celosia.hdl.npu.requantizer_steps import Control

__all__ = ["BitSerialLane"]

WIDTH = 32
"""Bits of a sum."""
NUDGE_PLACE = 30
"""The product's bit that is half of what the first rounding keeps."""
BYTE = 8


class BitSerialLane(wiring.Component):
    """What a lane of `Requantizer` computes in its integer modes, a bit of everything a cycle.

    Phases of an output, of which the last may be one with the first two of the next output:

    - 32 cycles of `gathers`: the operand, shifted left already, comes in, its lowest bit first.
    - `clears`, and then 31 cycles of `multiplies`: so does the multiplier. `begins` in the last.
    - 42 cycles of `rounds`, `ends` in the last of them: the product, rounded and shifted right,
      leaves, its lowest bit first; the zero point is added, and the sum compared with the limits.
      From the 35th cycle on the product may be the next one, as only copies of its sign are left.
    - 8 cycles of `sends`: the result leaves, its lowest bit first.

    Between the phases may be any number of cycles. The settings turn around in the last two, and
    may be set, or the lane be left alone for good, only outside of them.

    Back-pressure: nothing moves without `enable`. After a reset in the last two phases the settings
    must be set again.

    Parameters
    ----------
    modes : iterable of RoundingMode
        DOUBLE, SINGLE or AVERAGE.

    Members
    -------
    enable : In(1)
        Move at this clock edge.
    sets : In(1), settings : In(Control)
        Take the settings, enabled or not.
    gathers, clears, multiplies, begins, rounds, ends, sends : In(1)
        As above.
    operand, multiplier : In(1)
        The bit of this cycle.
    exponent : In(signed(8))
        With `clears` and `begins`; its negative, modulo 32, are the places to shift right.
    o : Out(1)
        The result's bit of this cycle.
    """

    def __init__(self, *, modes):
        self.modes = frozenset(modes)
        phases = ("gathers", "clears", "multiplies", "begins", "rounds", "ends", "sends")
        super().__init__(
            {
                "enable": In(1),
                "sets": In(1),
                "settings": In(Control),
                **{phase: In(1) for phase in phases},
                "operand": In(1),
                "multiplier": In(1),
                "exponent": In(signed(8)),
                "o": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        mode = Signal.like(self.settings.mode, reset_less=True)
        with m.If(self.sets):
            m.d.sync += mode.eq(self.settings.mode)
        away, nudge = 1, mode == RoundingMode.DOUBLE
        if RoundingMode.SINGLE in self.modes:
            away = mode != RoundingMode.SINGLE
            nudge |= ~away & ((self.exponent >= 0) | (self.exponent[:5] == 0))
        product = self._multiply(m, nudge)

        places = Signal(5, reset_less=True)  # still to shift right, as a negative number
        dropping = places != 0
        dropped, carry, sign = (
            Signal(name=name, reset_less=True) for name in ("dropped", "carry", "sign")
        )
        taken = Signal(4, init=BYTE)  # bits of the result
        whole = taken[-1]
        takes = self.rounds & ~dropping & ~whole
        low, high, zero_point = self._settings(m, takes | self.sends)
        bit, level, next_carry = Signal(), Signal(), Signal()
        m.d.comb += [
            bit.eq(Mux(self.multiplies, sign, product[0])),
            Cat(level, next_carry).eq(bit + Mux(whole, zero_point[-1], zero_point[0]) + carry),
        ]
        result = Signal(BYTE, reset_less=True)
        below, above = Signal(reset_less=True), Signal(reset_less=True)
        low_bit, high_bit = (Mux(whole, limit[-1], limit[0]) for limit in (low, high))
        m.d.comb += self.o.eq(Mux(below, low[0], Mux(above, high[0], result[0])))
        with m.If(self.enable):
            with m.If(~self.multiplies):
                m.d.sync += sign.eq(product[-1])
            with m.If(takes | self.sends):
                m.d.sync += result.eq(Cat(result[1:], level))
            with m.If(self.begins):
                m.d.sync += [
                    places.eq(Mux(self.exponent < 0, self.exponent[:5], 0)),
                    dropped.eq(0),
                    carry.eq(0),
                ]
            with m.Elif(self.rounds):
                # Of what is shifted out the last bit counts, and whether there were others: halves
                # are rounded up, or away from zero.
                m.d.sync += [
                    places.eq(places + dropping),
                    dropped.eq(dropped | bit),
                    carry.eq(Mux(dropping, bit & (dropped | ~(away & product[-1])), next_carry)),
                ]
            with m.If(self.begins | (self.rounds & dropping)):
                m.d.sync += [taken.eq(0), below.eq(0), above.eq(0)]
            with m.Elif(self.rounds):
                # The last bits are those of the signs.
                m.d.sync += [
                    taken.eq(taken + ~whole),
                    below.eq(Mux(level == low_bit, below, low_bit ^ self.ends)),
                    above.eq(Mux(level == high_bit, above, level ^ self.ends)),
                ]
        return m

    def _multiply(self, m, nudge):
        """The product but for its lowest bits, and then what is left of it."""
        operand = Signal(signed(WIDTH), reset_less=True)
        product = Signal(signed(WIDTH), reset_less=True)
        # A logic cell of iCE40 has room for a sum of two that may leave one of them out. With half
        # there from the beginning, dropping the product's low bits rounds it.
        total = Signal(signed(WIDTH + 1))
        m.d.comb += total.eq(Mux(self.multiplies & self.multiplier, product + operand, product))
        with m.If(self.enable):
            with m.If(self.gathers):
                m.d.sync += operand.eq(Cat(operand[1:], self.operand))
            m.d.sync += product.eq(Mux(self.clears, nudge << NUDGE_PLACE, total >> 1))
        return product

    def _settings(self, m, turn):
        """The lowest bits first; all of them are back in place after eight turns."""
        turning = []
        for name in ("low", "high", "zero_point"):
            setting = Signal(BYTE, name=name, reset_less=True)
            with m.If(self.sets | (self.enable & turn)):
                m.d.sync += setting.eq(Mux(self.sets, self.settings[name], setting.rotate_right(1)))
            turning.append(setting)
        return turning
