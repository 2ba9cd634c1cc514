"""A memory of vectors with several readers and writers behind one read and one write port."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import ceil_log2

from celosia.hdl.npu.interfaces import MemoryReadSignature, MemoryWriteSignature, vector

__all__ = ["ResponseBuffer", "VectorMemory"]


class ResponseBuffer(wiring.Component):
    """Holds what a memory with one cycle of latency answers until its reader takes it.

    A word that `arrives` in a cycle is offered in that cycle; while the reader is not ready up to
    two wait here, in order. `free` says that a word asked for in this cycle will find room.

    Members:
        arrives: the memory's answer to an earlier request is on `arrival`.
        free: combinational from registers only, so that back-pressure ends no long path.
        o: the answers. Latency 0, throughput one a cycle.
    """

    def __init__(self, shape: data.Layout) -> None:
        super().__init__(
            {
                "arrival": wiring.In(shape),
                "arrives": wiring.In(1),
                "free": Out(1),
                "o": Out(stream.Signature(shape)),
            }
        )
        self._shape = shape

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = Signal(self._shape, reset_less=True)
        tail = Signal(self._shape, reset_less=True)
        held = Signal(range(3))
        m.d.comb += [
            # One word may be arriving and be refused while one is held already.
            self.free.eq(held + self.arrives <= 1),
            self.o.valid.eq(self.arrives | (held != 0)),
            self.o.payload.eq(self.arrival),
        ]
        with m.If(held != 0):
            m.d.comb += self.o.payload.eq(head)
        taken = self.o.valid & self.o.ready
        m.d.sync += held.eq(held + self.arrives - taken)
        with m.If(taken):
            m.d.sync += head.eq(tail)
        with m.If(self.arrives):
            # After this cycle `held - taken` words stand in front of the arriving one.
            with m.If((held == 0) | ((held == 1) & taken)):
                m.d.sync += head.eq(self.arrival)
            with m.Else():
                m.d.sync += tail.eq(self.arrival)
        return m


class VectorMemory(wiring.Component):
    """`depth` vectors of `lanes` bytes, read and written by several clients.

    One vector is read and one is written in a cycle. Clients of lower index win; a request that is
    not granted waits. A read that meets a write of the same vector in the same cycle returns the
    old value. Addresses at or beyond `depth` are the clients' mistake: reads return any value,
    writes may hit any vector. Reset forgets the answers under way; the contents stay.

    Members:
        read_{i}: a `MemoryReadSignature` seen from the memory, with the i-th of `tags`. The answer
            comes one cycle after the request at the earliest; throughput one vector a cycle.
        write_{i}: stream of writes with a mask bit for each lane; accepted at once unless a client
            of lower index writes.
    """

    def __init__(self, *, depth: int, lanes: int, tags: list[object], writers: int) -> None:
        self._depth = depth
        self._lanes = lanes
        self._shape = vector(lanes)
        self._tags = tags
        self._writers = writers
        reads = {
            f"read_{i}": Out(MemoryReadSignature(self._shape, tag).flip())
            for i, tag in enumerate(tags)
        }
        writes = {f"write_{i}": wiring.In(MemoryWriteSignature(lanes)) for i in range(writers)}
        super().__init__({**reads, **writes})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(
            shape=self._shape, depth=self._depth, init=[]
        )
        read_port = storage.read_port()
        write_port = storage.write_port(granularity=1)
        address_bits = ceil_log2(self._depth)

        taken = Signal(len(self._tags) + 1)
        for i in range(len(self._tags)):
            port = getattr(self, f"read_{i}")
            arrives = Signal(name=f"arrives_{i}")
            tag = Signal.like(port.request.payload.tag, name=f"tag_{i}")
            m.submodules[f"buffer_{i}"] = buffer = ResponseBuffer(port.response.payload.shape())
            grant = Signal(name=f"grant_{i}")
            m.d.comb += [
                port.request.ready.eq(buffer.free & ~taken[i]),
                grant.eq(port.request.valid & port.request.ready),
                taken[i + 1].eq(taken[i] | (port.request.valid & buffer.free)),
                buffer.arrives.eq(arrives),
                buffer.arrival.vector.eq(read_port.data),
                buffer.arrival.tag.eq(tag),
            ]
            m.d.sync += arrives.eq(grant)
            with m.If(grant):
                m.d.comb += read_port.addr.eq(port.request.payload.address[:address_bits])
                m.d.sync += tag.eq(port.request.payload.tag)
            wiring.connect(m, wiring.flipped(port.response), buffer.o)
        m.d.comb += read_port.en.eq(taken[-1])

        written = Signal(self._writers + 1)
        for i in range(self._writers):
            port = getattr(self, f"write_{i}")
            m.d.comb += [
                port.ready.eq(~written[i]),
                written[i + 1].eq(written[i] | port.valid),
            ]
            with m.If(port.valid & port.ready):
                m.d.comb += [
                    write_port.addr.eq(port.payload.address[:address_bits]),
                    write_port.data.eq(port.payload.vector),
                    write_port.en.eq(port.payload.mask),
                ]
        return m
