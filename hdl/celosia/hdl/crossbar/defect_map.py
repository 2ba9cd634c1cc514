"""The map of defective cells, and of columns that couldn't be calibrated."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import port_widths
from celosia.golden.crossbar.telemetry import WORD_BITS, line_words

__all__ = ["DefectMap"]


class DefectMap(wiring.Component):
    """A bit for each cell, and a line of columns for each tile; `telemetry` says where each stands.

    Reset leaves it. An entry shows in words that are read two cycles after it.

    Members:
        enter: strobe: the bit of `column` in `line` of `tile` becomes `bad`; two cycles or more
            between entries.
        tile, line, column, bad: of the entry.
        renew: level: the word `scanned` becomes 0; no entries meanwhile.
        scanned: index of a word. scan_word: that word in the cycle before; not while entries are
            made.
        address: index of a word. word: that word in the cycle before.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        self._depth = config.tiles * (config.rows + 1) * line_words(config)
        super().__init__(
            {
                "enter": In(1),
                "tile": In(range(max(2, config.tiles))),
                "line": In(range(config.rows + 1)),
                "column": In(port_widths(config)["column"]),
                "bad": In(1),
                "renew": In(1),
                "scanned": In(range(self._depth)),
                "scan_word": Out(WORD_BITS),
                "address": In(range(self._depth)),
                "word": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.map = bits = memory.Memory(shape=WORD_BITS, depth=self._depth, init=[])
        write, before, shown = bits.write_port(), bits.read_port(), bits.read_port()
        line = self.tile * (config.rows + 1) + self.line
        place = Signal.like(self.scanned)
        entered, bad, bit = Signal(), Signal(), Signal(WORD_BITS)
        m.d.comb += before.addr.eq(
            Mux(self.enter, line * line_words(config) + self.column // WORD_BITS, self.scanned)
        )
        m.d.sync += [
            entered.eq(self.enter),
            bad.eq(self.bad),
            bit.eq(Const(1, WORD_BITS) << (self.column % WORD_BITS)),
            place.eq(before.addr),
        ]
        m.d.comb += [
            before.en.eq(1),
            shown.en.eq(1),
            shown.addr.eq(self.address),
            self.word.eq(shown.data),
            self.scan_word.eq(before.data),
            write.en.eq(self.renew | entered),
            write.addr.eq(Mux(self.renew, self.scanned, place)),
            write.data.eq(Mux(self.renew, 0, Mux(bad, before.data | bit, before.data & ~bit))),
        ]
        return m
