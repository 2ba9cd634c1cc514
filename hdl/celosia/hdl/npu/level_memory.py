"""What each level of a loop nest has, in a small memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LevelMemory"]


class LevelMemory(wiring.Component):
    """A value for each place, of which one at a time is looked at.

    It is kept in the lookup tables of an FPGA that can have memories there, where registers would
    need wide multiplexers around them, or in block RAMs, whose addresses go before a clock edge.

    Parameters
    ----------
    shape : shape-like
        Of a value.
    places : int
        How many there are.
    block : bool
        Whether it is made for block RAMs.

    Members
    -------
    store : In(1), stored_place : In(range(places)), stored : In(shape)
        A place gets a value at this clock edge.
    take : In(1), place : In(range(places))
        From this edge on `value` is that of `place`.
    again : In(1), latest : In(shape)
        ``again`` must be high from the edge on that takes the place which that edge, or none behind
        it, stored a value in, and ``latest`` must be that value; they may be high and the value of
        any place that was taken.
    value : Out(shape)
        Of the place that was taken last. Latency: 1 cycle.
    """

    store: Signal
    take: Signal
    again: Signal

    def __init__(self, *, shape, places, block):
        self._shape = shape
        self._places = places
        self._block = block
        super().__init__(
            {
                "store": In(1),
                "stored_place": In(range(places)),
                "stored": In(shape),
                "take": In(1),
                "place": In(range(places)),
                "again": In(1),
                "latest": In(shape),
                "value": Out(shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Block RAMs would have to be given registers to read what is being written.
        attributes = {"no_rw_check": 1} if self._block else {}
        m.submodules.entries = entries = memory.Memory(
            shape=self._shape, depth=self._places, init=[], attrs=attributes
        )
        write = entries.write_port()
        m.d.comb += [
            write.en.eq(self.store),
            write.addr.eq(self.stored_place),
            write.data.eq(self.stored),
        ]
        if self._block:
            read = entries.read_port()
            m.d.comb += [
                read.en.eq(self.take),
                read.addr.eq(self.place),
                self.value.eq(Mux(self.again, self.latest, read.data)),
            ]
            return m
        read = entries.read_port(domain="comb")
        taken = Signal.like(self.place, reset_less=True)
        with m.If(self.take):
            m.d.sync += taken.eq(self.place)
        m.d.comb += [read.addr.eq(taken), self.value.eq(read.data)]
        return m
