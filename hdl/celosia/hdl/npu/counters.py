"""Performance counters and their snapshots at the end of each layer."""

from amaranth.hdl import Cat, Module
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
        values: the counts. marks: marks since `clear`, at most 65535.
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
                "values": Out(COUNTERS),
                "marks": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for counter in Counter:
            value = self.values[counter]
            m.d.sync += value.eq(value + self.events[counter])
        with m.If(self.mark & ~self.marks.all()):
            m.d.sync += self.marks.eq(self.marks + 1)
        with m.If(self.clear):
            m.d.sync += [self.values.eq(0), self.marks.eq(0)]
        if self._depth:
            self._keep(m)
        return m

    def _keep(self, m: Module) -> None:
        """The profile."""
        m.submodules.profile = profile = memory.Memory(shape=COUNTERS, depth=self._depth, init=[])
        write_port = profile.write_port()
        read_port = profile.read_port()
        # An entry stays at the memory's port until it is taken: it is far too wide for a buffer.
        request, response = self.read.request, self.read.response
        m.d.comb += [
            write_port.addr.eq(self.marks),
            Cat(write_port.data).eq(Cat(self.values)),
            write_port.en.eq(self.mark & (self.marks < self._depth)),
            request.ready.eq(~response.valid | response.ready),
            read_port.addr.eq(request.payload.address),
            read_port.en.eq(request.valid & request.ready),
            response.payload.vector.eq(read_port.data),
        ]
        with m.If(request.ready):
            m.d.sync += response.valid.eq(request.valid)
