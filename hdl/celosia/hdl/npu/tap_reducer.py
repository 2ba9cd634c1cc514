"""Scratchpad vectors come in, tap by tap; what the requantiser gets of them goes out."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.interfaces import vector

__all__ = ["SUM_BITS", "Tap", "TapReducer"]

SUM_BITS = 32

Tap = data.StructLayout({"first": 1, "final": 1, "outside": 1})
"""A tap is its window's first, its final one; it lies outside of the image."""


class TapReducer(wiring.Component):
    """Sums or maxima over the taps of windows, or pairs of two taps, in each lane.

    Throughput: a tap every cycle. Latency: 2 cycles from the final tap. Back-pressure: a final tap
    that was taken waits while the result of the window before is still there, and then no other is
    taken. Sums wrap at 32 bits.
    Reset forgets the result and, with it, a window under way: the next tap must be a first one.

    Parameters
    ----------
    lanes : int
        Lanes of a vector.

    Members
    -------
    i : In(stream of vector (int8 lanes) and tag (`Tap`))
        Taps.
    pair : In(1)
        1: a result is the first tap's byte and, above it, the final tap's, of two taps.
    maximum : In(1)
        1: maximum, 0: sum.
    padding : In(signed(8))
        What stands in every lane of a tap outside. The three must not change during a window.
    o : Out(stream.Signature(vector(lanes, 32)))
        Results.
    """

    i: stream.Interface
    pair: Signal
    maximum: Signal
    padding: Signal
    o: stream.Interface

    def __init__(self, *, lanes):
        self.lanes = lanes
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"vector": vector(lanes), "tag": Tap}))),
                "pair": In(1),
                "maximum": In(1),
                "padding": In(signed(8)),
                "o": Out(stream.Signature(vector(lanes, SUM_BITS))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # A tap stands in registers once the choice between it and padding is made.
        taken = Signal()
        tap = Signal(Tap, reset_less=True)
        values = Signal(vector(self.lanes), reset_less=True)
        pair, maximum = Signal(reset_less=True), Signal(reset_less=True)
        partial = Signal(vector(self.lanes, SUM_BITS), reset_less=True)  # 0 before a first tap
        was_reset = Signal(init=1)  # a net to each of the partial's bits less
        result = Signal(vector(self.lanes, SUM_BITS), reset_less=True)
        full, move = Signal(), Signal()
        m.d.comb += [
            move.eq(~tap.final | ~full | self.o.ready),
            self.i.ready.eq(~taken | move),
            self.o.valid.eq(full),
            self.o.payload.eq(result),
        ]
        with m.If(self.i.ready):
            m.d.sync += [
                taken.eq(self.i.valid),
                tap.eq(self.i.payload.tag),
                pair.eq(self.pair),
                maximum.eq(self.maximum),
            ]
            for lane in range(self.lanes):
                m.d.sync += values[lane].eq(
                    Mux(self.i.payload.tag.outside, self.padding, self.i.payload.vector[lane])
                )
        # Pairs and maxima need a byte of what came before, sums an adder. What stands above the
        # byte is a sum all along, and replaced where a maximum goes out.
        second = pair & ~tap.first
        bytewise = pair | maximum
        following = Signal(vector(self.lanes, SUM_BITS))
        reduced = Signal(vector(self.lanes, SUM_BITS))
        for lane in range(self.lanes):
            value = values[lane]
            total = Signal(signed(SUM_BITS), name=f"total_{lane}")
            byte = Signal(signed(8), name=f"byte_{lane}")
            before = partial[lane]
            keep = second | (~tap.first & (before[:8].as_signed() > value))
            # A maximum's sign, which goes to many bits, without waiting for the comparison.
            negative = value[7] & (tap.first | before[7])
            m.d.comb += [
                total.eq(before + value),
                byte.eq(Mux(keep, before[:8].as_signed(), value)),
                following[lane].eq(Cat(Mux(bytewise, byte[:], total[:8]), total[8:])),
                reduced[lane].eq(following[lane]),
            ]
            with m.If(pair):
                m.d.comb += reduced[lane].eq(Cat(byte, value))
            with m.Elif(maximum):
                m.d.comb += reduced[lane].eq(Cat(byte, negative.replicate(SUM_BITS - 8)))
        with m.If(self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(~full | self.o.ready):  # whatever is there
            m.d.sync += result.eq(reduced)
        m.d.sync += was_reset.eq(0)
        with m.If(taken & move):
            m.d.sync += partial.eq(following)
            with m.If(tap.final):
                m.d.sync += full.eq(1)
        with m.If(was_reset | (taken & move & tap.final)):  # one reset for all of them
            m.d.sync += partial.eq(0)
        return m
