"""What was written to the correction tables last, for software to read."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.corrections import VALUE_BITS, CorrectionField
from celosia.golden.crossbar.telemetry import calibration_words
from celosia.hdl.crossbar.product_corrector import correction_write

__all__ = ["CalibrationRecord"]


class CalibrationRecord(wiring.Component):
    """Keeps gains, offsets, scale and shift as they were written, whatever the tile. Reset leaves
    it.

    Members:
        amended, entry: strobe: CALIBRATE or COMPENSATE wrote an entry.
        address: index of a word, as in region CALIBRATION. word: that word in the cycle before.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "amended": In(1),
                "entry": In(correction_write(config)),
                "address": In(range(calibration_words(config))),
                "word": Out(VALUE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry, behind = self.entry, 2 * self._config.columns
        m.submodules.record = record = memory.Memory(
            shape=VALUE_BITS, depth=calibration_words(self._config), init=[]
        )
        write, read = record.write_port(), record.read_port()
        known = Signal()
        with m.Switch(entry.field):
            for field, place in (
                (CorrectionField.COLUMN_GAIN, entry.place << 1),
                (CorrectionField.COLUMN_OFFSET, (entry.place << 1) | 1),
                (CorrectionField.SCALE, behind),
                (CorrectionField.SHIFT, behind + 1),
            ):
                with m.Case(field.value):
                    m.d.comb += [write.addr.eq(place), known.eq(1)]
        m.d.comb += [
            write.en.eq(self.amended & known),
            write.data.eq(entry.value),
            read.en.eq(1),
            read.addr.eq(self.address),
            self.word.eq(read.data),
        ]
        return m
