"""A memory of vectors with several readers and writers behind one read and one write port."""

from enum import StrEnum

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import ceil_log2

from celosia.hdl.npu.interfaces import MemoryReadSignature, MemoryWriteSignature, vector

__all__ = ["Answers", "RegisteredBuffer", "ResponseBuffer", "VectorMemory"]


class Answers(StrEnum):
    """How a client of a memory gets its answers."""

    DIRECT = "direct"
    """One cycle after its request, from the memory's port; the client must take it at once."""
    BUFFERED = "buffered"
    """One cycle after its request at the earliest: two may wait (`ResponseBuffer`)."""
    REGISTERED = "registered"
    """Two cycles after its request at the earliest, out of a register that ends the memory's long
    path; three may wait (`RegisteredBuffer`)."""


def _buffer_members(shape: data.Layout) -> dict[str, wiring.Member]:
    return {
        "arrival": wiring.In(shape),
        "arrives": wiring.In(1),
        "free": Out(1),
        "o": Out(stream.Signature(shape)),
    }


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
        super().__init__(_buffer_members(shape))
        self._shape = shape

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = Signal(self._shape, reset_less=True)
        tail = Signal(self._shape, reset_less=True)
        held = Signal(range(3))
        taken = self.o.valid & self.o.ready
        m.d.comb += [
            # One word may be arriving and be refused while one is held already.
            self.free.eq(held + self.arrives <= 1),
            self.o.valid.eq(self.arrives | (held != 0)),
            self.o.payload.eq(Mux(held == 0, self.arrival, head)),
        ]
        m.d.sync += held.eq(held + self.arrives - taken)
        # Places that hold nothing take whatever there is: that needs less logic than to tell.
        with m.If(taken | (held == 0)):
            m.d.sync += head.eq(Mux(held == 2, tail, self.arrival))
        with m.If(held != 2):
            m.d.sync += tail.eq(self.arrival)
        return m


class RegisteredBuffer(wiring.Component):
    """As `ResponseBuffer`, but all answers pass through a register: latency 1, three may wait.

    Members:
        asked: a word is asked for in this cycle, and arrives in the next.
        free: a register.
    """

    def __init__(self, shape: data.Layout) -> None:
        super().__init__({"asked": wiring.In(1), **_buffer_members(shape)})
        self._shape = shape

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = [Signal(self._shape, name=f"place_{i}", reset_less=True) for i in range(3)]
        held = Signal(range(4))
        taken = self.o.valid & self.o.ready
        free = Signal(init=1)
        under_way = Signal(range(4))  # held, or arriving
        m.d.comb += [
            self.free.eq(free),
            self.o.valid.eq(held != 0),
            self.o.payload.eq(places[0]),
        ]
        m.d.sync += [
            held.eq(held + self.arrives - taken),
            under_way.eq(under_way + self.asked - taken),
            # All three may be under way without the reader taking any.
            free.eq(taken | ~((under_way == 3) | ((under_way == 2) & self.asked))),
        ]
        # Places that hold nothing take whatever there is, as above.
        with m.If(taken | (held == 0)):
            m.d.sync += places[0].eq(Mux(held <= 1, self.arrival, places[1]))
        with m.If(taken | (held <= 1)):
            m.d.sync += places[1].eq(Mux(held == 3, places[2], self.arrival))
        with m.If(held != 3):
            m.d.sync += places[2].eq(self.arrival)
        return m


class VectorMemory(wiring.Component):
    """`depth` vectors of `lanes` bytes, read and written by several clients.

    One vector is read and one is written in a cycle. Clients of lower index win; a request that is
    not granted waits. A read that meets a write of the same vector in the same cycle returns any
    value. Addresses at or beyond `depth` are the clients' mistake: reads return any value,
    writes may hit any vector. Reset forgets the answers under way; the contents stay.

    Members:
        read_{i}: a `MemoryReadSignature` seen from the memory, with the i-th of `tags`; the i-th of
            `answers` says how the answers come. Throughput one vector a cycle.
        write_{i}: stream of writes with a mask bit for each lane; accepted at once unless a client
            of lower index writes.
    """

    def __init__(
        self,
        *,
        depth: int,
        lanes: int,
        tags: list[object],
        answers: list[Answers],
        writers: int,
    ) -> None:
        self._depth = depth
        self._lanes = lanes
        self._shape = vector(lanes)
        self._tags = tags
        self._answers = answers
        self._writers = writers
        reads = {
            f"read_{i}": Out(MemoryReadSignature(self._shape, tag).flip())
            for i, tag in enumerate(tags)
        }
        writes = {f"write_{i}": wiring.In(MemoryWriteSignature(lanes)) for i in range(writers)}
        super().__init__({**reads, **writes})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # To give a vector that is written in the cycle its old value would take logic between the
        # memory and those who wait for it.
        m.submodules.storage = storage = memory.Memory(
            shape=self._shape, depth=self._depth, init=[], attrs={"no_rw_check": 1}
        )
        read_port = storage.read_port()
        write_port = storage.write_port(granularity=1)
        address_bits = ceil_log2(self._depth)

        # The last client's address, unless another's is granted, which is late enough known.
        last = len(self._tags) - 1
        address = getattr(self, f"read_{last}").request.payload.address
        m.d.comb += read_port.addr.eq(address[:address_bits])
        taken = Signal(len(self._tags) + 1)
        for i in range(len(self._tags)):
            port = getattr(self, f"read_{i}")
            arrives = Signal(name=f"arrives_{i}")
            tag = Signal.like(port.request.payload.tag, name=f"tag_{i}", reset_less=True)
            arrival = Signal.like(port.response.payload, name=f"arrival_{i}")
            free = Const(1)
            grant = Signal(name=f"grant_{i}")
            if self._answers[i] == Answers.DIRECT:
                m.d.comb += [
                    port.response.valid.eq(arrives),
                    port.response.payload.eq(arrival),
                ]
            else:
                kind = {Answers.BUFFERED: ResponseBuffer, Answers.REGISTERED: RegisteredBuffer}
                m.submodules[f"buffer_{i}"] = buffer = kind[self._answers[i]](arrival.shape())
                m.d.comb += [buffer.arrives.eq(arrives), buffer.arrival.eq(arrival)]
                if self._answers[i] == Answers.REGISTERED:
                    m.d.comb += buffer.asked.eq(grant)
                wiring.connect(m, wiring.flipped(port.response), buffer.o)
                free = buffer.free
            m.d.comb += [
                port.request.ready.eq(free & ~taken[i]),
                grant.eq(port.request.valid & port.request.ready),
                taken[i + 1].eq(taken[i] | (port.request.valid & free)),
                arrival.vector.eq(read_port.data),
                arrival.tag.eq(tag),
            ]
            m.d.sync += arrives.eq(grant)
            m.d.sync += tag.eq(port.request.payload.tag)  # whether it arrives or not
            if i < last:
                with m.If(grant):
                    m.d.comb += read_port.addr.eq(port.request.payload.address[:address_bits])
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
