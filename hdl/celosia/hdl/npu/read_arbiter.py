"""Two readers on one memory port."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from celosia.hdl.npu.interfaces import MemoryReadSignature

__all__ = ["ReadArbiter"]


class ReadArbiter(wiring.Component):
    """Merges the reads of a `first` and a `second` client; the first wins.

    Requests and answers pass through without latency, one of each a cycle. A request of the second
    that the memory has been shown but not yet granted stays, as a stream must, and the first waits.
    The merged port's tag says whose answer it is; clients have no tag of their own. Answers come in
    the order of the requests: one that its client doesn't take holds up those behind it. Reset
    forgets that a request was shown.

    Members:
        first, second: `MemoryReadSignature` without a tag, seen from the memory.
        memory: `MemoryReadSignature` with a one-bit tag, seen from the reader.
    """

    def __init__(self, shape: data.Layout) -> None:
        super().__init__(
            {
                "first": Out(MemoryReadSignature(shape).flip()),
                "second": Out(MemoryReadSignature(shape).flip()),
                "memory": Out(MemoryReadSignature(shape, 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request, response = self.memory.request, self.memory.response
        first_wins = Signal()
        shown = Signal()  # the second's request, in the cycle before, and not granted
        m.d.comb += [
            first_wins.eq(self.first.request.valid & ~shown),
            request.valid.eq(self.first.request.valid | self.second.request.valid),
            request.payload.tag.eq(~first_wins),
            request.payload.address.eq(self.second.request.payload.address),
            self.first.request.ready.eq(request.ready & ~shown),
            self.second.request.ready.eq(request.ready & ~first_wins),
            self.first.response.payload.vector.eq(response.payload.vector),
            self.second.response.payload.vector.eq(response.payload.vector),
            self.first.response.valid.eq(response.valid & ~response.payload.tag),
            self.second.response.valid.eq(response.valid & response.payload.tag),
            response.ready.eq(self.first.response.ready),
        ]
        m.d.sync += shown.eq(request.valid & ~request.ready & ~first_wins)
        with m.If(first_wins):
            m.d.comb += request.payload.address.eq(self.first.request.payload.address)
        with m.If(response.payload.tag):
            m.d.comb += response.ready.eq(self.second.response.ready)
        return m
