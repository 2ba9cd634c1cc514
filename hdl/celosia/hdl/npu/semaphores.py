"""Counting semaphores that order the units."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import SEMAPHORE_MAXIMUM, SEMAPHORES, Semaphore
from celosia.hdl.npu.interfaces import SemaphoreSignature

__all__ = ["COUNT_BITS", "Semaphores"]

COUNT_BITS = SEMAPHORE_MAXIMUM.bit_length()


class Semaphores(wiring.Component):
    """One counter for each named semaphore; reserved ones are always granted and never counted.

    Counts are zero after reset and go up to 255; a program never raises a semaphore further.

    Members:
        unit_{i}: `SemaphoreSignature` of a unit, seen from here. A semaphore may be signalled by
            several units in a cycle and waited for by one. A signal counts from the next cycle on.
        extra: signals raised outside of the units (by the accumulators).
        clear: sets every count to zero; signals in the same cycle are lost.
        counts: the counts of the cycle before, eight bits each, semaphore 0 lowest; `compact` shows
            those of this one.

    `compact` has fewer registers, and longer paths through signals, takes and grants.
    """

    def __init__(self, units: int, *, compact: bool = False) -> None:
        self._units = units
        self._compact = compact
        super().__init__(
            {
                **{f"unit_{i}": Out(SemaphoreSignature().flip()) for i in range(units)},
                "extra": In(SEMAPHORES),
                "clear": In(1),
                "counts": Out(COUNT_BITS * len(Semaphore)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        units = [getattr(self, f"unit_{i}") for i in range(self._units)]
        counts = []
        missing = []
        for bit, semaphore in enumerate(Semaphore):
            count = Signal(COUNT_BITS, name=f"count_{semaphore.name.lower()}")
            raised = sum((unit.signal[bit] for unit in units), start=self.extra[bit])
            taken = reduce(or_, (unit.take & unit.wait[bit] for unit in units))
            none = Signal(name=f"none_{semaphore.name.lower()}", init=not self._compact)
            if self._compact:
                m.d.comb += none.eq(count == 0)
                m.d.sync += count.eq(count + (raised - taken))
                with m.If(self.clear):
                    m.d.sync += count.eq(0)
            else:
                self._in_registers(m, semaphore, raised, taken, count, none)
            missing.append(none)
            counts.append(count)
        for unit in units:
            m.d.comb += unit.grant.eq((unit.wait & Cat(*missing)) == 0)
        m.d.comb += self.counts.eq(Cat(*counts))
        return m

    def _in_registers(
        self,
        m: Module,
        semaphore: Semaphore,
        raised: Value,
        taken: Value,
        count: Signal,
        none: Signal,
    ) -> None:
        """Registers on both sides: signals and takes end long paths, grants begin some."""
        late_raised = Signal.like(raised, name=f"raised_{semaphore.name.lower()}")
        late_taken = Signal(name=f"taken_{semaphore.name.lower()}")
        now = Signal(COUNT_BITS, name=f"now_{semaphore.name.lower()}")
        m.d.comb += now.eq(count + late_raised - late_taken)
        m.d.sync += [
            late_raised.eq(raised),
            late_taken.eq(taken),
            count.eq(now),
            none.eq(Mux(taken, now <= 1, now == 0) & (raised == 0)),
        ]
        with m.If(self.clear):
            m.d.sync += [count.eq(0), late_raised.eq(0), late_taken.eq(0), none.eq(1)]
