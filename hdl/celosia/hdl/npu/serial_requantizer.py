"""The requantiser of small FPGAs: one multiplier of few bits, used over and over."""

from amaranth.hdl import Cat, Const, Module, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.requantizer_steps import (
    HIGH_BITS,
    MULTIPLIER_BITS,
    Control,
    RequantizerInput,
    RequantizerOutput,
    clamped,
    half_added,
    high_half,
    lane_layout,
    shifts,
    zero_point_added,
)

__all__ = ["SerialRequantizer"]

WIDTH = 32
"""Bits of a sum, and places for a multiplier of an integer mode."""


class SerialRequantizer(wiring.Component):
    """What `Requantizer` computes in its integer modes, a few bits of the multiplier a cycle.

    Throughput: a beat every 32 / bits + 1 cycles. Latency: ``latency`` cycles, 32 / bits + 2.
    Back-pressure: a result waits in a register, the next one in the multiplier; ``i.ready`` depends
    combinationally on ``o.ready``. Reset empties it.

    Parameters
    ----------
    lanes : int
        Lanes of a beat, at least 1.
    modes : iterable of RoundingMode
        DOUBLE, SINGLE or AVERAGE.
    bits : int
        Bits of the multiplier that each lane multiplies by in a cycle: a power of two up to 16.
    tag : int or shape-like
        Shape of what travels with a beat.

    Members
    -------
    i, control, o
        As of `Requantizer`.
    """

    i: stream.Interface
    control: data.View
    o: stream.Interface

    def __init__(self, *, lanes, modes, bits, tag=0):
        self.lanes = lanes
        self.modes = frozenset(modes)
        self.bits = bits
        self.multiplier_bits = max(MULTIPLIER_BITS[mode] for mode in self.modes)
        self.latency = WIDTH // bits + 2
        tag = unsigned(tag) if isinstance(tag, int) else tag
        super().__init__(
            {
                "i": In(
                    stream.Signature(
                        RequantizerInput(lanes=lanes, multiplier_bits=self.multiplier_bits, tag=tag)
                    )
                ),
                "control": In(Control),
                "o": Out(stream.Signature(RequantizerOutput(lanes=lanes, tag=tag))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        steps = WIDTH // self.bits
        left = Signal(range(steps + 1))  # of the beat's steps, and then its end
        busy, end, take = Signal(), Signal(), Signal()
        m.d.comb += [
            end.eq(busy & (left == 0) & (~self.o.valid | self.o.ready)),
            self.i.ready.eq(~busy | end),
            take.eq(self.i.valid & self.i.ready),
        ]
        valid = Signal()
        m.d.comb += self.o.valid.eq(valid)
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.If(end):
            m.d.sync += [busy.eq(0), valid.eq(1)]
        with m.If(take):
            m.d.sync += [busy.eq(1), left.eq(steps)]
        if Shape.cast(self.o.payload.tag.shape()).width:
            tag = Signal.like(self.i.payload.tag, reset_less=True)
            result_tag = Signal.like(tag, reset_less=True)
            m.d.comb += self.o.payload.tag.eq(result_tag)
            with m.If(end):
                m.d.sync += result_tag.eq(tag)
            with m.If(take):
                m.d.sync += tag.eq(self.i.payload.tag)
        for number in range(self.lanes):
            m.submodules[f"lane_{number}"] = lane = _Lane(self.multiplier_bits, self.bits)
            m.d.comb += [
                lane.i.eq(self.i.payload.lanes[number]),
                lane.control.eq(self.control),
                lane.take.eq(take),
                lane.step.eq(left != 0),
                lane.end.eq(end),
                self.o.payload.vector[number].eq(lane.o),
            ]
        return m


class _Lane(wiring.Component):
    """One lane: takes operands, makes steps from the next cycle on, and rounds at the end."""

    def __init__(self, multiplier_bits, bits):
        self._bits = bits
        super().__init__(
            {
                "i": In(lane_layout(multiplier_bits)),
                "control": In(Control),
                "take": In(1),
                "step": In(1),
                "end": In(1),
                "o": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        left, right = shifts(self.i.exponent)
        value = Signal(signed(WIDTH))
        operand = Signal(signed(WIDTH), reset_less=True)
        places = Signal(5, reset_less=True)
        # The multiplier leaves at the bottom; what is known of the product follows from the top.
        low = Signal(WIDTH, reset_less=True)
        high = Signal(signed(WIDTH), reset_less=True)
        total = Signal(signed(WIDTH + self._bits))
        m.d.comb += [
            value.eq(self.i.acc + self.i.bias),
            total.eq(high + operand * low[: self._bits]),
        ]
        with m.If(self.take):
            m.d.sync += [
                operand.eq(value << left),
                places.eq(right),
                low.eq(self.i.multiplier),
                high.eq(0),
            ]
        with m.Elif(self.step):
            m.d.sync += [
                low.eq(Cat(low[self._bits :], total[: self._bits])),
                high.eq(total[self._bits :]),
            ]

        mode = self.control.mode
        product = Cat(Const(0, 30), low[30:], high)
        upper = Signal(signed(HIGH_BITS))
        output = Signal(signed(8), reset_less=True)
        m.d.comb += [
            upper.eq(high_half(product, mode, places)),
            self.o.eq(output),
        ]
        result = half_added(upper, mode, places) >> places
        with m.If(self.end):
            m.d.sync += output.eq(clamped(zero_point_added(result, self.control), self.control))
        return m
