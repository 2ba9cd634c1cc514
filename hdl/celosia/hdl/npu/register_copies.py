"""One register many times, each copy for a part of what it drives."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.family import Family

__all__ = ["RegisterCopies"]


class RegisterCopies(wiring.Component):
    """A bit a cycle later, ``count`` times. Nothing is reset.

    On an ECP5 each copy is a flip-flop of its own: synthesis makes one of registers that are alike,
    and a net to tens of thousands of places all over the chip can hardly be routed.

    Latency: 1 cycle.

    Parameters
    ----------
    count : int
        Copies.
    family : Family, optional
        Of the FPGA. On others than an ECP5 all copies are one register.

    Members
    -------
    i : In(1)
        The bit.
    o : Out(count)
        Its copies.
    """

    i: Signal
    o: Signal

    def __init__(self, count: int, family: Family | None = None) -> None:
        self._count = count
        self._family = family
        super().__init__({"i": In(1), "o": Out(count)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._family is not Family.ECP5:
            register = Signal(reset_less=True)
            m.d.sync += register.eq(self.i)
            m.d.comb += self.o.eq(register.replicate(self._count))
            return m
        for number in range(self._count):
            m.submodules[f"copy_{number}"] = Instance(
                "TRELLIS_FF",
                p_CEMUX="1",
                p_CLKMUX="CLK",
                p_GSR="DISABLED",
                p_LSRMUX="LSR",
                p_REGSET="RESET",
                i_CLK=ClockSignal(),
                i_LSR=Const(0),
                i_DI=self.i,
                o_Q=self.o[number],
            )
        return m
