"""Cores that are small enough to be placed and routed in a test: what comes goes back."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from celosia.boards.top import Core
from celosia.hdl.npu.double_pumped_storage import DoublePumpedStorage


class EchoCore(Core):
    """Sends each byte back, plus one; busy while it does, error after a zero."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wrong = Signal()
        m.d.comb += [
            self.tx.valid.eq(self.rx.valid),
            self.tx.payload.eq(self.rx.payload + 1),
            self.rx.ready.eq(self.tx.ready),
            self.busy.eq(self.tx.valid | ~self.tx.ready),
            self.error.eq(wrong),
        ]
        with m.If(self.rx.valid & (self.rx.payload == 0)):
            m.d.sync += wrong.eq(1)
        return m


class PumpedCore(EchoCore):
    """The same; busy comes from a memory at twice the clock."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.echo = echo = EchoCore()
        m.submodules.memory = memory = DoublePumpedStorage(256, 4, latency=1, held_writes=False)
        wiring.connect(m, wiring.flipped(self.rx), echo.rx)
        wiring.connect(m, echo.tx, wiring.flipped(self.tx))
        parity = Signal()
        m.d.sync += parity.eq(memory.read_vector.as_value().xor())
        m.d.comb += [
            memory.read_address.eq(self.rx.payload),
            memory.write_address.eq(self.rx.payload),
            memory.write_vector.as_value().eq(self.rx.payload.replicate(4)),
            memory.write_mask.eq(self.rx.valid.replicate(4)),
            self.busy.eq(parity),
            self.error.eq(echo.error),
        ]
        return m
