"""The controller's counters: pulses, conversions, products, results."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.telemetry import (
    COUNTED_RESULTS,
    COUNTER_WORDS,
    DRIVE_SUM_BITS,
    PULSE_COUNTERS,
    RESULT_BASE,
    WORD_BITS,
    Counter,
)
from celosia.hdl.crossbar.access import pulse_event
from celosia.hdl.crossbar.programmer import RESULT_BITS

__all__ = ["STROBES", "EventCounters"]

STROBES = {
    "converted": Counter.READS,
    "multiplied": Counter.PRODUCTS,
    "probed": Counter.PROBES,
    "dropped": Counter.DROPPED,
    "issued": Counter.INTEGRATIONS,
    "reissued": Counter.REISSUES,
}
"""Inputs that count one in each cycle in which they are high."""


class EventCounters(wiring.Component):
    """Counts modulo 2^32, from the next cycle on; `drive` modulo 2^48. Reset leaves the counts.

    Members:
        pulsed, event: of the limiter.
        STROBES: by name.
        clipped: columns, in each cycle.
        answered, result: strobe: a cell was answered with it.
        clear: all counts are zero from the next cycle on, whatever else happens in this one.
        address: of a `Counter`.
        word: its count in the cycle before; 0 where there is no counter.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        super().__init__(
            {
                "pulsed": In(1),
                "event": In(pulse_event(config)),
                **{name: In(1) for name in STROBES},
                "clipped": In(range(config.columns + 1)),
                "answered": In(1),
                "result": In(RESULT_BITS),
                "clear": In(1),
                "address": In(range(COUNTER_WORDS)),
                "word": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        events = {counter: getattr(self, name) for name, counter in STROBES.items()}
        events[Counter.SATURATIONS] = self.clipped
        for mode, counter in PULSE_COUNTERS.items():
            events[counter] = self.pulsed & (self.event.mode == mode.value)
        for result in COUNTED_RESULTS:
            counter = Counter(RESULT_BASE + result)
            events[counter] = self.answered & (self.result == result.value)
        words = [Const(0, WORD_BITS)] * COUNTER_WORDS
        for counter, event in events.items():
            words[counter] = value = Signal(WORD_BITS, name=counter.name.lower(), reset_less=True)
            m.d.sync += value.eq(value + event)
            with m.If(self.clear):
                m.d.sync += value.eq(0)
        drive = Signal(DRIVE_SUM_BITS, reset_less=True)
        with m.If(self.pulsed):
            m.d.sync += drive.eq(drive + self.event.drive)
        with m.If(self.clear):
            m.d.sync += drive.eq(0)
        words[Counter.DRIVE_LOW] = drive[:WORD_BITS]
        words[Counter.DRIVE_HIGH] = Cat(drive[WORD_BITS:], Const(0, 2 * WORD_BITS - DRIVE_SUM_BITS))
        chosen = Signal(WORD_BITS, reset_less=True)
        m.d.sync += chosen.eq(Cat(*words).word_select(self.address, WORD_BITS))
        m.d.comb += self.word.eq(chosen)
        return m
