"""Results on their way to the host: read by place, dropped when they were."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ResultQueue"]


class ResultQueue(wiring.Component):
    """Keeps results until they are dropped. Reset forgets all.

    Members
    -------
    results : In(stream.Signature(shape))
        Taken while fewer than ``depth`` wait.
    waiting : Out
        How many do.
    place : In
        Of a result, the oldest at 0.
    result : Out(shape)
        What stood there in the cycle before.
    drop, count : In
        Strobe: forget so many of the oldest, or all.
    """

    def __init__(self, *, shape: object, depth: int) -> None:
        self._shape, self._depth = shape, depth
        super().__init__(
            {
                "results": In(stream.Signature(shape)),
                "waiting": Out(range(depth + 1)),
                "place": In(range(depth)),
                "result": Out(shape),
                "drop": In(1),
                "count": In(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = kept = memory.Memory(shape=self._shape, depth=self._depth, init=[])
        write, read = kept.write_port(), kept.read_port()
        first, last = Signal(range(self._depth)), Signal(range(self._depth))
        dropped = Signal.like(self.waiting)
        taken = self.results.valid & self.results.ready
        m.d.comb += [
            self.results.ready.eq(self.waiting != self._depth),
            write.addr.eq(last),
            write.data.eq(self.results.payload),
            write.en.eq(taken),
            read.addr.eq(first + self.place),
            read.en.eq(1),
            self.result.eq(read.data),
        ]
        with m.If(self.drop):
            few = self.count < self.waiting
            m.d.comb += dropped.eq(Mux(few, self.count, self.waiting))
        m.d.sync += [
            self.waiting.eq(self.waiting + taken - dropped),
            first.eq(first + dropped),
            last.eq(last + taken),
        ]
        return m
