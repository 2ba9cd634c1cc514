"""What the controller has counted and found, behind one read port."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import port_widths
from celosia.golden.crossbar.telemetry import (
    ENTERING,
    STATUS_LATENCY,
    WORD_BITS,
    StatusRegion,
    status_address_bits,
    status_regions,
)
from celosia.hdl.crossbar.access import pulse_event
from celosia.hdl.crossbar.calibration_record import CalibrationRecord
from celosia.hdl.crossbar.defect_map import DefectMap
from celosia.hdl.crossbar.event_counters import STROBES, EventCounters
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.programmer import RESULT_BITS
from celosia.hdl.crossbar.row_wear import RowWear

__all__ = ["Status", "status_events"]


def status_events(config: CrossbarConfig) -> dict[str, wiring.Member]:
    """Strobes of the other units, as for `EventCounters`."""
    return {
        "pulsed": In(1),
        "event": In(pulse_event(config)),
        **{name: In(1) for name in STROBES},
        "clipped": In(range(config.columns + 1)),
    }


class Status(wiring.Component):
    """Counters, wear of rows and map of defects, as `celosia.golden.crossbar.telemetry` says.

    Members:
        status_events: by name.
        answered: strobe: a cell was answered; two cycles or more between answers.
        command, result, tile, row, column: of the answer.
        judged: strobe: a column of the tile was calibrated, or (`bad`) couldn't be; not with
            `answered`. bad.
        amended, entry: strobe: CALIBRATE or COMPENSATE wrote an entry of the tables.
        clear: the counters are zero from the next cycle on.
        renew: level: row `renewed` has no wear, and word `scanned` of the map is 0, from the next
            cycle on.
        renewed, scanned: index of a row, and of a word of the map. scan_word: the latter, in the
            next cycle, while nothing is answered or judged.
        address: of a word, as in `status_regions`.
        word: the word, `STATUS_LATENCY` cycles later; 0 where nothing stands. A word each cycle.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        regions = status_regions(config)
        super().__init__(
            {
                **status_events(config),
                "answered": In(1),
                "command": In(4),
                "result": In(RESULT_BITS),
                "tile": In(port_widths(config)["tile"]),
                "row": In(range(config.rows)),
                "column": In(port_widths(config)["column"]),
                "judged": In(1),
                "bad": In(1),
                "amended": In(1),
                "entry": In(correction_write(config)),
                "clear": In(1),
                "renew": In(1),
                "renewed": In(range(len(regions[StatusRegion.WEAR]))),
                "scanned": In(range(len(regions[StatusRegion.MAP]))),
                "scan_word": Out(WORD_BITS),
                "address": In(status_address_bits(config)),
                "word": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.counters = counters = EventCounters(config)
        m.submodules.wear = wear = RowWear(config)
        m.submodules.map = defects = DefectMap(config)
        m.submodules.record = record = CalibrationRecord(config)
        for name in status_events(config):
            m.d.comb += getattr(counters, name).eq(getattr(self, name))
        entering = sum((self.command == command.value for command in ENTERING), start=0) != 0
        converged = self.result == Result.CONVERGED.value
        m.d.comb += [
            counters.answered.eq(self.answered),
            counters.result.eq(self.result),
            counters.clear.eq(self.clear),
            record.amended.eq(self.amended),
            record.entry.eq(self.entry),
            wear.pulsed.eq(self.pulsed),
            wear.event.eq(self.event),
            wear.renew.eq(self.renew),
            wear.renewed.eq(self.renewed),
            defects.enter.eq(
                self.judged
                | self.answered
                & entering
                & (self.result != Result.ABORTED.value)
                & (~converged | (self.command == Command.BIST.value))
            ),
            defects.tile.eq(self.tile),
            defects.line.eq(Mux(self.judged, config.rows, self.row)),
            defects.column.eq(self.column),
            defects.bad.eq(Mux(self.judged, self.bad, ~converged)),
            defects.renew.eq(self.renew),
            defects.scanned.eq(self.scanned),
            self.scan_word.eq(defects.scan_word),
        ]
        assert STATUS_LATENCY == 2
        regions = status_regions(config)
        somewhere = []
        for region, store in (
            (StatusRegion.COUNTERS, counters),
            (StatusRegion.WEAR, wear),
            (StatusRegion.MAP, defects),
            (StatusRegion.CALIBRATION, record),
        ):
            places, name = regions[region], region.name.lower()
            offset, here = Signal.like(self.address, name=f"{name}_offset"), Signal(name=name)
            m.d.comb += [offset.eq(self.address - places.start), store.address.eq(offset)]
            m.d.sync += here.eq(offset < len(places))
            somewhere.append((here, store.word))
        m.d.sync += self.word.eq(0)
        for here, word in somewhere:
            with m.If(here):
                m.d.sync += self.word.eq(word)
        return m
