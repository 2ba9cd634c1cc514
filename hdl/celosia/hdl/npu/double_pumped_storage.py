"""A memory with a read and a write port, in single-port RAMs at twice the clock.

RAM: SB_SPRAM256KA of the iCE40UP5K (Lattice FPGA-TN-02022, iCE40 SPRAM usage guide), which
synthesis never infers.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring

from celosia.hdl.npu.pipeline import delayed
from celosia.hdl.npu.vector_storage import StorageSignature

__all__ = ["DOUBLE", "INFERRED", "DoublePumpedStorage", "MemoryPlan", "large_rams"]

DOUBLE = "double"
"""Domain of the clock of twice the frequency, which rises whenever that of `sync` does."""
RAM_DEPTH = 1 << 14
RAM_LANES = 2


def large_rams(depth: int, lanes: int) -> int | None:
    """RAMs that so many vectors of so many bytes take; None where they are too many for a RAM."""
    return -(-lanes // RAM_LANES) if depth <= RAM_DEPTH else None


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Which of the NPU's memories are `DoublePumpedStorage`; synthesis finds a form for the others.

    Whatever the plan, contents and cycles are the same.

    Attributes:
        scratchpad, weights: whether that memory is.
    """

    scratchpad: bool = False
    weights: bool = False

    @property
    def doubles_clock(self) -> bool:
        """Whether the NPU needs the clock `DOUBLE`."""
        return self.scratchpad or self.weights


INFERRED = MemoryPlan()
"""All memories as synthesis finds them."""


class DoublePumpedStorage(wiring.Component):
    """Single-port RAMs, each of which reads and writes in every cycle.

    The clock `DOUBLE` rises at each edge of `sync` and once in between. Paths between the two have
    half a cycle of `sync`: behind `read_vector`, and before what is written where that is not held.
    The contents begin with any value; reset changes nothing. At most 16,384 vectors.

    Parameters
    ----------
    depth, lanes : int
        Vectors, and bytes of each.
    latency : int
        1, or 2 with a register behind the RAMs.
    held_writes : bool
        Writes pass a register, and have all of their cycle before it. It costs nothing behind a
        multiplexer, whose LUTs have flip-flops beside them. Reads see a write of the cycle before
        in either case.
    """

    def __init__(self, depth: int, lanes: int, *, latency: int, held_writes: bool) -> None:
        if large_rams(depth, lanes) is None:
            raise ValueError(f"depth must be at most {RAM_DEPTH} vectors, not {depth!r}")
        self._lanes = lanes
        self._latency = latency
        self._held_writes = held_writes
        super().__init__(StorageSignature(depth, lanes))

    def elaborate(self, platform: object) -> Module:
        # What a cycle asks for happens in the next one or at its beginning. At the edge that both
        # clocks share a RAM writes; at the one in the middle it reads, from the address that has
        # come into a register at the shared edge. What was read is there in the second half, until
        # the next write, which comes with the edge that ends the cycle.
        m = Module()
        turn = Signal(reset_less=True)
        seen = Signal(reset_less=True)
        m.d.sync += turn.eq(~turn)
        m.d[DOUBLE] += seen.eq(turn)
        reads = Signal()  # the first half of a cycle
        m.d.comb += reads.eq(turn ^ seen)

        read_address = delayed(m, self.read_address, 1, "held_read_address")
        write = [self.write_address, self.write_vector.as_value(), self.write_mask]
        if self._held_writes:
            names = ("held_write_address", "held_vector", "held_mask")
            write = [delayed(m, port, 1, name) for port, name in zip(write, names, strict=True)]
        write_address, vector, mask = write

        address = Signal.like(self.read_address)
        m.d.comb += address.eq(Mux(reads, read_address, write_address))
        words = []
        for number, lane in enumerate(range(0, self._lanes, RAM_LANES)):
            word = Signal(16, name=f"word_{number}")
            nibbles = [bit for bit in mask[lane : lane + RAM_LANES] for _ in range(2)]
            m.submodules[f"ram_{number}"] = Instance(
                "SB_SPRAM256KA",
                i_ADDRESS=_padded(address, 14),
                i_DATAIN=_padded(vector[8 * lane : 8 * (lane + RAM_LANES)], 16),
                i_MASKWREN=_padded(Cat(nibbles), 4),
                # A write that enables no byte changes nothing.
                i_WREN=~reads,
                i_CHIPSELECT=Const(1),
                i_CLOCK=ClockSignal(DOUBLE),
                i_STANDBY=Const(0),
                i_SLEEP=Const(0),
                i_POWEROFF=Const(1),  # active low
                o_DATAOUT=word,
            )
            words.append(word)
        read_vector = Cat(words)[: 8 * self._lanes]
        m.d.comb += self.read_vector.eq(delayed(m, read_vector, self._latency - 1, "fetched"))
        return m


def _padded(value: Value, width: int) -> Value:
    return Cat(value, Const(0, width - len(value)))
