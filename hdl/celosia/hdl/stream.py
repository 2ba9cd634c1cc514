"""Plumbing for streams."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamFifo"]


class StreamFifo(wiring.Component):
    """First in, first out queue between two streams.

    Latency: a beat taken in cycle t is offered in cycle t + 2, or t + 1 if ``depth`` is 1.
    Throughput: a beat every cycle, every second one if ``depth`` is less than 3. Back-pressure:
    ``depth`` beats are taken while ``o`` stalls; ``i.ready`` depends on no input
    combinationally. Reset empties the queue.

    Parameters
    ----------
    shape : shape-like
        Payload of both streams.
    depth : int
        Beats held, at least 1.

    Members
    -------
    i : In(stream.Signature(shape))
        Beats to hold.
    o : Out(stream.Signature(shape))
        The same beats in the same order.
    level : Out(range(depth + 1))
        How many are held.
    """

    i: stream.Interface
    o: stream.Interface
    level: Signal

    def __init__(self, *, shape, depth):
        if not isinstance(depth, int) or depth < 1:
            raise ValueError(f"FIFO depth must be a positive integer, not {depth!r}")
        self.shape = shape
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # The beat that is offered stands in a register, or at the memory's port.
        offered = Signal()
        writes = self.i.valid & self.i.ready
        m.d.comb += self.o.valid.eq(offered)
        if self.depth == 1:
            held = Signal(self.shape, reset_less=True)
            m.d.comb += [
                self.i.ready.eq(~offered),
                self.o.payload.eq(held),
                self.level.eq(offered),
            ]
            with m.If(writes):
                m.d.sync += held.eq(self.i.payload)
            m.d.sync += offered.eq(Mux(offered, ~self.o.ready, writes))
            return m

        places = self.depth - 1
        waiting = Signal(range(places + 1))
        written, next_read = Signal(range(places)), Signal(range(places))
        # A beat is read in a later cycle than it was written in: without the attribute synthesis
        # would find out what a read of both in one cycle gives, with registers.
        m.submodules.storage = storage = memory.Memory(
            shape=self.shape, depth=places, init=[], attrs={"no_rw_check": 1}
        )
        write, read = storage.write_port(), storage.read_port()
        reads = (waiting != 0) & (~offered | self.o.ready)
        m.d.comb += [
            self.i.ready.eq(waiting != places),
            write.addr.eq(written),
            write.data.eq(self.i.payload),
            write.en.eq(writes),
            read.addr.eq(next_read),
            read.en.eq(reads),
            self.o.payload.eq(read.data),
            self.level.eq(waiting + offered),
        ]
        for place, moves in ((written, writes), (next_read, reads)):
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == places - 1, 0, place + 1))
        with m.If(writes != reads):
            m.d.sync += waiting.eq(Mux(writes, waiting + 1, waiting - 1))
        with m.If(reads):
            m.d.sync += offered.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += offered.eq(0)
        return m
