"""A bit to all over the chip, on a network that is made for clocks."""

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.family import Family
from celosia.hdl.npu.pipeline import delayed

__all__ = ["ClockNetwork", "moved_later"]


class ClockNetwork(wiring.Component):
    """A bit that enables registers all over the chip.

    On an ECP5 it takes one of the 16 networks for clocks, which reach the enables of registers and
    multipliers as well: as ordinary wires, connections to tens of thousands of places can hardly be
    routed. Such a network reaches no logic: where the bit is more than an enable, take `i` there.
    nextpnr 0.11.1 takes the network's delay, up to 1.9 ns, for nothing: `i` should come from a
    register.

    Latency: none.

    Parameters
    ----------
    family : Family, optional
        Of the FPGA. On others than an ECP5 `o` is `i`.

    Members
    -------
    i : In(1)
        The bit.
    o : Out(1)
        The same, for enables only.
    """

    i: Signal
    o: Signal

    def __init__(self, family: Family | None = None) -> None:
        self._family = family
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._family is not Family.ECP5:
            m.d.comb += self.o.eq(self.i)
            return m
        m.submodules.buffer = Instance("DCCA", i_CLKI=self.i, i_CE=Const(1), o_CLKO=self.o)
        return m


def moved_later(m: Module, advance: Signal, family: Family | None) -> tuple[Signal, Signal]:
    """``advance`` of the cycle before: from its register, and over a network, for enables only."""
    moves = delayed(m, advance, 1, "moves", reset_less=False)
    m.submodules.enables = network = ClockNetwork(family)
    m.d.comb += network.i.eq(moves)
    return moves, network.o
