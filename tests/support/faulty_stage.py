"""A stream stage that can be told to break the rules, to show that benches notice."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out


class Fault(enum.Enum, shape=3):
    NONE = 0
    DROPPED_VALID = 1
    CHANGED_PAYLOAD = 2
    LOST_BEAT = 3
    WRONG_BEAT = 4
    EXTRA_BEAT = 5
    STUCK_READY = 6


class FaultyStage(wiring.Component):
    """One register between two streams of bytes; its beat 7 shows the fault."""

    def __init__(self, *, fault):
        self.fault = Fault[fault]
        signature = stream.Signature(8)
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform):
        m = Module()
        count, full, held, odd = Signal(8), Signal(), Signal(8), Signal()
        at_fault = count == 7

        def has(fault):
            return int(self.fault is fault)

        m.d.sync += odd.eq(full & ~odd)  # low while a beat is offered for the first time
        m.d.comb += [
            self.i.ready.eq((~full | self.o.ready) & ~(has(Fault.STUCK_READY) & at_fault)),
            self.o.valid.eq(full & ~(has(Fault.DROPPED_VALID) & odd)),
            self.o.payload.eq(held ^ Cat(has(Fault.CHANGED_PAYLOAD) & odd)),
        ]
        with m.If(self.o.ready & self.o.valid):
            m.d.sync += full.eq(0)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                count.eq(count + 1),
                held.eq(self.i.payload ^ Mux(at_fault, has(Fault.WRONG_BEAT), 0)),
                full.eq(~(has(Fault.LOST_BEAT) & at_fault)),
            ]
        with m.Elif((count == 20) & has(Fault.EXTRA_BEAT)):
            m.d.sync += [count.eq(21), full.eq(1)]
        return m
