"""Performance counters and their snapshots at the end of each layer."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.memory_map import Counter
from celosia.hdl.npu.interfaces import MemoryReadSignature

__all__ = ["COUNTERS", "PerformanceCounters"]

COUNTERS = data.ArrayLayout(32, len(Counter))
"""All counters, `Counter` by `Counter`."""


class PerformanceCounters(wiring.Component):
    """Counts events, modulo 2^32, and stores all counts at each mark.

    An event counts from the next cycle on. Reset does what `clear` does; entries stay.

    Members:
        events: bit k is 1 in a cycle that counts for counter k.
        clear: sets counters and marks to zero, whatever else happens in the cycle.
        mark: stores the counts of the cycles before this one in the next profile entry; marks
            beyond `depth` are counted but not stored.
        value: in a cycle with `current` the count of the counter `select`ed, as it was in the cycle
            before. With a profile it is the counter `select`ed then, and always current. Without
            one each counter has its turn, after 26 cycles at most while there is no `clear`.
        marks: marks since `clear`, at most 65535.
        read: the profile entries, unless `depth` is 0, seen from the memory; one cycle of latency
            at the earliest, one entry a cycle while the reader takes them at once. An entry that is
            being stored is read with its old value; what stands at or beyond `depth` is undefined.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        optional = {"read": Out(MemoryReadSignature(COUNTERS).flip())} if depth else {}
        super().__init__(
            {
                **optional,
                "events": In(len(Counter)),
                "clear": In(1),
                "mark": In(1),
                "select": In(range(len(Counter))),
                "value": Out(32),
                "current": Out(1),
                "marks": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.mark & ~self.marks.all()):
            m.d.sync += self.marks.eq(self.marks + 1)
        with m.If(self.clear):
            m.d.sync += self.marks.eq(0)
        if self._depth:
            self._keep(m, self._count(m))
        else:
            self._count_in_memory(m)
        return m

    def _count(self, m: Module) -> data.View:
        """Counters side by side, as a profile stores them all at once."""
        values = Signal(COUNTERS)
        for counter in Counter:
            m.d.sync += values[counter].eq(values[counter] + self.events[counter])
        with m.If(self.clear):
            m.d.sync += values.eq(0)
        m.d.sync += self.value.eq(values[self.select])
        m.d.comb += self.current.eq(1)
        return values

    def _count_in_memory(self, m: Module) -> None:
        """Counts in a small memory: one in each cycle takes what has been counted since its last
        turn, which is less than registers and adders for all of them, and a wide multiplexer."""
        count = len(Counter)
        # A turn is the address that is read, then what is added to, then the address that is
        # written. Bit 1 of an address is the opposite of that two turns later, and said to be: so
        # synthesis sees that reads and writes never meet, and gives them no registers.
        assert count % 4 == 0
        m.submodules.counts = counts = memory.Memory(shape=32, depth=count, init=[])
        read, write = counts.read_port(), counts.write_port()
        turn, adding, written = (
            Signal(range(count), name=name) for name in ("turn", "adding", "written")
        )
        # After `clear` the memory is wiped for a round, in which nothing is taken.
        wiping, wiped = Signal(init=1), Signal(init=1)
        recent = Array(Signal(range(2 * count + 2), name=f"recent_{k}") for k in range(count))
        m.d.comb += [
            read.addr.eq(turn),
            write.addr.eq(Cat(written[0], ~turn[1], written[2:])),
            write.en.eq(1),
            write.data.eq(self.value),
            self.current.eq((written == self.select) & ~wiped),
        ]
        m.d.sync += [
            turn.eq(Mux(turn == count - 1, 0, turn + 1)),
            adding.eq(turn),
            written.eq(adding),
            self.value.eq(read.data + recent[adding]),
            wiped.eq(wiping),
        ]
        for counter in Counter:
            m.d.sync += recent[counter].eq(recent[counter] + self.events[counter])
            with m.If((adding == counter) & ~wiping):
                m.d.sync += recent[counter].eq(self.events[counter])
        with m.If(adding == count - 1):
            m.d.sync += wiping.eq(0)
        with m.If(wiping):
            m.d.sync += self.value.eq(0)
        with m.If(self.clear):
            m.d.sync += [turn.eq(0), adding.eq(0), wiping.eq(1), wiped.eq(1)]
            m.d.sync += [each.eq(0) for each in recent]

    def _keep(self, m: Module, values: data.View) -> None:
        """The profile."""
        m.submodules.profile = profile = memory.Memory(shape=COUNTERS, depth=self._depth, init=[])
        write_port = profile.write_port()
        read_port = profile.read_port()
        # An entry stays at the memory's port until it is taken: it is far too wide for a buffer.
        request, response = self.read.request, self.read.response
        m.d.comb += [
            write_port.addr.eq(self.marks),
            write_port.data.eq(values),
            write_port.en.eq(self.mark & (self.marks < self._depth)),
            request.ready.eq(~response.valid | response.ready),
            read_port.addr.eq(request.payload.address),
            read_port.en.eq(request.valid & request.ready),
            response.payload.vector.eq(read_port.data),
        ]
        with m.If(request.ready):
            m.d.sync += response.valid.eq(request.valid)
