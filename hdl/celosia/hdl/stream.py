"""Plumbing for streams."""

from amaranth.hdl import Module, Shape, Signal, Value
from amaranth.lib import fifo, stream, wiring
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
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=Shape.cast(self.shape).width, depth=self.depth
        )
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Value.cast(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.level.eq(queue.level),
        ]
        return m
