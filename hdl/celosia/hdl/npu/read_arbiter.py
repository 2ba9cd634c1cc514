"""Two readers on one memory port."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from celosia.hdl.npu.interfaces import MemoryReadSignature

__all__ = ["ReadArbiter"]


class ReadArbiter(wiring.Component):
    """Merges the reads of a `first` and a `second` client; the first wins.

    Requests and answers pass through without latency. The merged port's tag says whose answer it
    is; clients have no tag of their own.

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
        m.d.comb += [
            request.valid.eq(self.first.request.valid | self.second.request.valid),
            request.payload.tag.eq(~self.first.request.valid),
            request.payload.address.eq(self.second.request.payload.address),
            self.first.request.ready.eq(request.ready),
            self.second.request.ready.eq(request.ready & ~self.first.request.valid),
            self.first.response.payload.vector.eq(response.payload.vector),
            self.second.response.payload.vector.eq(response.payload.vector),
            self.first.response.valid.eq(response.valid & ~response.payload.tag),
            self.second.response.valid.eq(response.valid & response.payload.tag),
            response.ready.eq(self.first.response.ready),
        ]
        with m.If(self.first.request.valid):
            m.d.comb += request.payload.address.eq(self.first.request.payload.address)
        with m.If(response.payload.tag):
            m.d.comb += response.ready.eq(self.second.response.ready)
        return m
