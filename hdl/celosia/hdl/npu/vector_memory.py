"""A memory of vectors with several readers and writers behind one read and one write port."""

from enum import StrEnum

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out

from celosia.hdl.npu.double_pumped_storage import DoublePumpedStorage
from celosia.hdl.npu.interfaces import MemoryReadSignature, MemoryWriteSignature, vector
from celosia.hdl.npu.pipeline import delayed
from celosia.hdl.npu.vector_storage import BankedStorage, PlainStorage

__all__ = ["Answers", "ResponseBuffer", "VectorMemory"]


class Answers(StrEnum):
    """How a client of a memory gets its answers."""

    DIRECT = "direct"
    """`VectorMemory.latency` cycles after its request; the client must take them at once."""
    BUFFERED = "buffered"
    """Two cycles after its request at the earliest; three may wait (`ResponseBuffer`)."""


class ResponseBuffer(wiring.Component):
    """Holds what a memory answers until its reader takes it: up to three words, in order.

    Parameters:
        latency: the memory's, 1 or 2. Words of a memory with 1 pass through a register here, those
            of one with 2 are offered as they arrive: a word is offered two cycles after it was
            asked for in either case.

    Members:
        asked: a word is asked for in this cycle.
        arrives: the memory's answer to an earlier request is on `arrival`.
        free: that a word asked for in this cycle will find room; a register, so that back-pressure
            ends no long path.
        o: the answers. Throughput one a cycle.
    """

    def __init__(self, shape: data.Layout, latency: int) -> None:
        super().__init__(
            {
                "asked": wiring.In(1),
                "arrival": wiring.In(shape),
                "arrives": wiring.In(1),
                "free": Out(1),
                "o": Out(stream.Signature(shape)),
            }
        )
        self._shape = shape
        self._passes = latency == 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = [Signal(self._shape, name=f"place_{i}", reset_less=True) for i in range(3)]
        held = Signal(range(4))
        empty = Signal(init=1)  # whether none is held; it chooses for all bits of a vector
        taken = self.o.valid & self.o.ready
        still_held = (held + self.arrives - taken)[: len(held)]
        free = Signal(init=1)
        under_way = Signal(range(4))  # held, or still to arrive
        m.d.comb += [
            self.free.eq(free),
            self.o.valid.eq(~empty),
            self.o.payload.eq(places[0]),
        ]
        if self._passes:
            m.d.comb += [
                self.o.valid.eq(self.arrives | ~empty),
                self.o.payload.eq(Mux(empty, self.arrival, places[0])),
            ]
        m.d.sync += [
            held.eq(still_held),
            empty.eq(still_held == 0),
            under_way.eq(under_way + self.asked - taken),
            # All three may be under way without the reader taking any.
            free.eq(taken | ~((under_way == 3) | ((under_way == 2) & self.asked))),
        ]
        # Places that hold nothing take whatever there is: that needs less logic than to tell.
        with m.If(taken | empty):
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

    A `compact` memory answers out of its block RAMs and what chooses between them, with a `latency`
    of 1. The other kind is for fast clocks, since block RAMs take more than half of a cycle there:
    it has a register behind each bank (`BankedStorage`), and a `latency` of 2. Either may be
    `double_pumped`, in the same cycles (`DoublePumpedStorage`).

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
        compact: bool = False,
        double_pumped: bool = False,
    ) -> None:
        self._depth = depth
        self._lanes = lanes
        self._shape = vector(lanes)
        self._tags = tags
        self._answers = answers
        self._writers = writers
        self._storage = PlainStorage if compact else BankedStorage
        self._double_pumped = double_pumped
        self.latency = self._storage.LATENCY
        reads = {
            f"read_{i}": Out(MemoryReadSignature(self._shape, tag).flip())
            for i, tag in enumerate(tags)
        }
        writes = {f"write_{i}": wiring.In(MemoryWriteSignature(lanes)) for i in range(writers)}
        super().__init__({**reads, **writes})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._double_pumped:
            storage = DoublePumpedStorage(
                self._depth, self._lanes, latency=self.latency, held_writes=self._writers > 1
            )
        else:
            storage = self._storage(self._depth, self._lanes)
        m.submodules.storage = storage

        taken = Signal(len(self._tags) + 1)
        wanted = []
        for i in range(len(self._tags)):
            port = getattr(self, f"read_{i}")
            arrival = Signal.like(port.response.payload, name=f"arrival_{i}")
            free = Const(1)
            grant = Signal(name=f"grant_{i}")
            arrives = delayed(m, grant, self.latency, f"arrives_{i}", reset_less=False)
            # Whether it arrives or not.
            tag = delayed(m, port.request.payload.tag, self.latency, f"tag_{i}")
            if self._answers[i] == Answers.DIRECT:
                m.d.comb += [
                    port.response.valid.eq(arrives),
                    port.response.payload.eq(arrival),
                ]
            else:
                buffer = ResponseBuffer(arrival.shape(), self.latency)
                m.submodules[f"buffer_{i}"] = buffer
                m.d.comb += [
                    buffer.asked.eq(grant),
                    buffer.arrives.eq(arrives),
                    buffer.arrival.eq(arrival),
                ]
                wiring.connect(m, wiring.flipped(port.response), buffer.o)
                free = buffer.free
            m.d.comb += [
                port.request.ready.eq(free & ~taken[i]),
                grant.eq(port.request.valid & port.request.ready),
                taken[i + 1].eq(taken[i] | (port.request.valid & free)),
                arrival.vector.eq(storage.read_vector),
                arrival.tag.eq(tag),
            ]
            wanted.append((port.request.valid & free, port.request.payload.address))
        # The address of the first one that asks and has room. Whether others do is known later than
        # that; the last one's stands there if nobody asks.
        m.d.comb += [
            storage.read_enable.eq(taken[-1]),
            storage.read_address.eq(wanted[-1][1]),
        ]
        for asks, address in wanted[-2::-1]:
            with m.If(asks):
                m.d.comb += storage.read_address.eq(address)

        # Likewise for writes; whether there is one at all only the mask says.
        last = self._writers - 1
        payload = getattr(self, f"write_{last}").payload
        m.d.comb += [
            storage.write_address.eq(payload.address),
            storage.write_vector.eq(payload.vector),
        ]
        written = Signal(self._writers + 1)
        for i in range(self._writers):
            port = getattr(self, f"write_{i}")
            m.d.comb += [
                port.ready.eq(~written[i]),
                written[i + 1].eq(written[i] | port.valid),
            ]
            with m.If(port.valid & port.ready):
                m.d.comb += storage.write_mask.eq(port.payload.mask)
                if i < last:
                    m.d.comb += [
                        storage.write_address.eq(port.payload.address),
                        storage.write_vector.eq(port.payload.vector),
                    ]
        return m
