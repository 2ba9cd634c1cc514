"""Performance counters and their snapshots at the end of each layer."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
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
        value: the count, in the cycle before, of the counter `select`ed then. marks: marks since
            `clear`, at most 65535.
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
        return values

    def _count_in_memory(self, m: Module) -> None:
        """Counts in a small memory: one in each cycle takes what has been counted since its last
        turn, which is less than registers and adders for all of them, and a wide multiplexer."""
        count = len(Counter)
        m.submodules.counts = counts = memory.Memory(shape=32, depth=count, init=[])
        kept, shown = counts.read_port(domain="comb"), counts.read_port(domain="comb")
        write = counts.write_port()
        turn = Signal(range(count))
        recent = Array(Signal(range(count + 1), name=f"recent_{k}") for k in range(count))
        stored = Signal(count)  # since `clear`

        def total(port: memory.ReadPort, number: Signal) -> Value:
            return Mux(stored.bit_select(number, 1), port.data, 0) + recent[number]

        m.d.comb += [
            kept.addr.eq(turn),
            write.addr.eq(turn),
            write.en.eq(1),
            write.data.eq(total(kept, turn)),
            shown.addr.eq(self.select),
        ]
        m.d.sync += [
            self.value.eq(total(shown, self.select)),
            turn.eq(Mux(turn == count - 1, 0, turn + 1)),
            stored.bit_select(turn, 1).eq(1),
        ]
        for counter in Counter:
            since = Mux(turn == counter, 0, recent[counter])
            m.d.sync += recent[counter].eq(since + self.events[counter])
        with m.If(self.clear):
            m.d.sync += [stored.eq(0), *(each.eq(0) for each in recent)]

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
