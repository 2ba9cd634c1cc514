"""A core that is small enough to be placed and routed in a test: what comes goes back."""

from amaranth.hdl import Module, Signal

from celosia.boards.top import Core


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
