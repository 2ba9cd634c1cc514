"""The requantiser of small FPGAs: one multiplier of few bits, used over and over."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.float_requantizer import RESULT_BITS
from celosia.hdl.npu.pipeline import delayed
from celosia.hdl.npu.product_scaler import ProductScaler
from celosia.hdl.npu.requantizer_steps import (
    Control,
    RequantizerInput,
    RequantizerOutput,
    clamped,
    lane_layout,
    multiplier_bits,
    shifts,
    zero_point_added,
)

__all__ = ["SerialRequantizer"]

WIDTH = 32
"""Bits of a sum, and places for a multiplier of an integer mode."""
ROUNDING = ProductScaler.LATENCY + 2
"""Cycles from a product to its result: scaled, moved by the zero point, clamped."""


class SerialRequantizer(wiring.Component):
    """What `Requantizer` computes in its integer modes, a few bits of the multiplier a cycle.

    Throughput: a beat every 32 / bits + 1 cycles. Latency: ``latency`` cycles, 32 / bits + 6.
    Back-pressure: all stops while a result waits; ``i.ready`` depends combinationally on
    ``o.ready``. Reset empties it.

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
        self.multiplier_bits = multiplier_bits(self.modes)
        self.latency = 1 + WIDTH // bits + ROUNDING
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

    # All of it moves with `advance`, so that beats keep their distance.

    def elaborate(self, platform):
        m = Module()
        advance = Signal()
        m.submodules.shared = EnableInserter(advance)(shared := Module())
        steps = WIDTH // self.bits
        left = Signal(range(steps + 1))  # of the beat's steps, and then its end
        busy, end, take = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            end.eq(busy & (left == 0)),
            self.i.ready.eq(advance & (~busy | end)),
            take.eq(self.i.valid & self.i.ready),
        ]
        with shared.If(left != 0):
            shared.d.sync += left.eq(left - 1)
        with shared.If(end):
            shared.d.sync += busy.eq(0)
        with shared.If(take):
            shared.d.sync += [busy.eq(1), left.eq(steps)]
        stages = [end]
        for stage in range(ROUNDING):
            stages.append(delayed(shared, stages[-1], 1, f"valid_{stage}", reset_less=False))
        m.d.comb += self.o.valid.eq(stages[-1])
        if Shape.cast(self.o.payload.tag.shape()).width:
            # Three cycles at least lie between beats: one place is enough for those on the way.
            tag, on_way, result_tag = (
                Signal.like(self.i.payload.tag, name=name, reset_less=True)
                for name in ("tag", "tag_on_way", "result_tag")
            )
            m.d.comb += self.o.payload.tag.eq(result_tag)
            with shared.If(take):
                shared.d.sync += tag.eq(self.i.payload.tag)
            with shared.If(end):
                shared.d.sync += on_way.eq(tag)
            with shared.If(stages[ProductScaler.LATENCY]):
                shared.d.sync += result_tag.eq(on_way)
        for number in range(self.lanes):
            lane = _Lane(self.multiplier_bits, self.bits)
            m.submodules[f"lane_{number}"] = EnableInserter(advance)(lane)
            m.d.comb += [
                lane.i.eq(self.i.payload.lanes[number]),
                lane.control.eq(self.control),
                lane.take.eq(take),
                lane.step.eq(left != 0),
                self.o.payload.vector[number].eq(lane.o),
            ]
        return m


class _Lane(wiring.Component):
    """One lane: takes operands, makes steps from the next cycle on, and then rounds."""

    def __init__(self, multiplier_bits, bits):
        self._bits = bits
        super().__init__(
            {
                "i": In(lane_layout(multiplier_bits)),
                "control": In(Control),
                "take": In(1),
                "step": In(1),
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

        m.submodules.scaler = scaler = ProductScaler()
        moved = Signal(signed(RESULT_BITS), reset_less=True)
        output = Signal(signed(8), reset_less=True)
        m.d.comb += [
            scaler.product.eq(Cat(Const(0, 30), low[30:], high)),
            scaler.right.eq(places),
            scaler.mode.eq(self.control.mode),
            self.o.eq(output),
        ]
        m.d.sync += [
            moved.eq(zero_point_added(scaler.result, self.control)),
            output.eq(clamped(moved, self.control)),
        ]
        return m
