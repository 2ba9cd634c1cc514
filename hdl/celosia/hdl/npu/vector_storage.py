"""What the NPU's memories of vectors are made of: block RAMs, and registers behind them."""

from amaranth.hdl import Array, Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.pipeline import delayed

__all__ = ["BANK_VECTORS", "BankedStorage", "PlainStorage", "StorageSignature"]

BANK_VECTORS = 2048
"""Of a bank: bytes of a block RAM of an ECP5."""


class StorageSignature(wiring.Signature):
    """`depth` vectors with one read and one write port, seen from the storage.

    Members:
        read_enable, read_address: asks for a vector.
        read_vector: the vector that was asked for so many cycles before as the storage's `latency`.
        write_address, write_vector: what is written where. write_mask: a bit for each lane.

    A read that meets a write of its vector returns any value, as does one at or beyond the depth; a
    write there may hit any vector.
    """

    def __init__(self, depth: int, lanes: int) -> None:
        address = ceil_log2(depth)
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(address),
                "read_vector": Out(vector(lanes)),
                "write_address": In(address),
                "write_vector": In(vector(lanes)),
                "write_mask": In(lanes),
            }
        )


class PlainStorage(wiring.Component):
    """One memory, whatever synthesis makes of it: block RAMs, and a multiplexer behind them."""

    LATENCY = 1

    def __init__(self, depth: int, lanes: int) -> None:
        self._depth, self._lanes = depth, lanes
        super().__init__(StorageSignature(depth, lanes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        read, write = _ports(m, "storage", self._depth, self._lanes)
        m.d.comb += [
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            self.read_vector.eq(read.data),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_vector),
            write.en.eq(self.write_mask),
        ]
        return m


class BankedStorage(wiring.Component):
    """Banks with a register behind each, in front of what chooses between them: a block RAM of an
    ECP5 takes more than half of a fast clock's cycle."""

    LATENCY = 2

    def __init__(self, depth: int, lanes: int) -> None:
        self._depth, self._lanes = depth, lanes
        super().__init__(StorageSignature(depth, lanes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = ceil_log2(BANK_VECTORS)
        fetched = []
        for number, start in enumerate(range(0, self._depth, BANK_VECTORS)):
            size = min(BANK_VECTORS, self._depth - start)
            read, write = _ports(m, f"bank_{number}", size, self._lanes)
            fetched.append(delayed(m, read.data, 1, f"fetched_{number}"))
            # Nobody looks at what a bank answers that wasn't asked: it needs no enable.
            m.d.comb += [
                read.addr.eq(self.read_address[:bits]),
                write.addr.eq(self.write_address[:bits]),
                write.data.eq(self.write_vector),
            ]
            with m.If(self.write_address[bits:] == number):
                m.d.comb += write.en.eq(self.write_mask)
        answering = delayed(m, self.read_address[bits:], self.LATENCY, "answering")
        m.d.comb += self.read_vector.eq(Array(fetched)[answering])
        return m


def _ports(
    m: Module, name: str, depth: int, lanes: int
) -> tuple[memory.ReadPort, memory.WritePort]:
    # To give a vector that is written in the cycle its old value would take logic between the
    # memory and those who wait for it.
    m.submodules[name] = storage = memory.Memory(
        shape=vector(lanes), depth=depth, init=[], attrs={"no_rw_check": 1}
    )
    return storage.read_port(), storage.write_port(granularity=1)
