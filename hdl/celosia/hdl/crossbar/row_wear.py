"""How many pulses the cells of each row have taken."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.telemetry import WEAR_BITS
from celosia.hdl.crossbar.access import pulse_event

__all__ = ["RowWear"]


class RowWear(wiring.Component):
    """A count for each row of each tile, which stays at its end. Reset leaves the counts.

    Members:
        pulsed, event: of the limiter; two cycles or more between pulses.
        renew: level: the row `renewed` counts from zero again; no pulses meanwhile.
        renewed: index of a row, tile x rows + row.
        address: index of a row. word: its count as it was in the cycle before; a pulse shows two
            cycles after it.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        places = range(config.tiles * config.rows)
        super().__init__(
            {
                "pulsed": In(1),
                "event": In(pulse_event(config)),
                "renew": In(1),
                "renewed": In(places),
                "address": In(places),
                "word": Out(WEAR_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.counts = counts = memory.Memory(
            shape=WEAR_BITS, depth=config.tiles * config.rows, init=[]
        )
        write, before, shown = counts.write_port(), counts.read_port(), counts.read_port()
        place, pulsed = Signal.like(self.renewed), Signal()
        m.d.comb += before.addr.eq(self.event.tile * config.rows + self.event.row)
        m.d.sync += [pulsed.eq(self.pulsed), place.eq(before.addr)]
        m.d.comb += [
            before.en.eq(1),
            shown.en.eq(1),
            shown.addr.eq(self.address),
            self.word.eq(shown.data),
            write.en.eq(self.renew | (pulsed & ~before.data.all())),
            write.addr.eq(Mux(self.renew, self.renewed, place)),
            write.data.eq(Mux(self.renew, 0, before.data + 1)),
        ]
        return m
