"""CALIBRATE and COMPENSATE: from what a tile conducts to its correction tables."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.calibration import GAIN_SHIFT, LEAK_FRACTION, SMALLEST_SUM
from celosia.golden.crossbar.commands import Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.corrections import (
    CORRECTION_FRACTION,
    CORRECTION_GAIN_BITS,
    CORRECTION_OFFSET_BITS,
    LEVEL_SUM_BITS,
    SCALE_BITS,
    SHIFT_BITS,
    WIDTHS,
    CorrectionField,
)
from celosia.golden.crossbar.front_end import GAIN_BITS
from celosia.golden.crossbar.settings import AVERAGE_MAXIMUM
from celosia.hdl.crossbar.column_meter import (
    ZERO_BITS,
    ColumnMeter,
    probe,
    probe_response,
    total_bits,
)
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.programmer import place_answer
from celosia.hdl.crossbar.serial_arithmetic import SerialDivider, SerialMultiplier
from celosia.hdl.crossbar.settings_store import SCALAR_VALUES

__all__ = ["Calibrator"]

_EXPECTED_BITS = LEVEL_SUM_BITS + LEAK_FRACTION + 1
"""A column's levels and leak."""


class Calibrator(wiring.Component):
    """Measures a tile and writes its tables, in the integers of `calibration.calibrate_columns` and
    `calibration.drift_compensated`.

    CALIBRATE writes COLUMN_GAIN and COLUMN_OFFSET of all columns, and SCALE and SHIFT as software
    wrote them, and answers column by column: whether it could be calibrated, and its mean code with
    nothing driven. COMPENSATE writes SCALE and SHIFT, and answers once. What it compares with is
    the tile's last CALIBRATE: as many masks and conversions, and the sum of the columns in use.
    There is none before the first, and none after ADC_GAIN or OUTPUT was written.

    An abort ends a measurement: the tables stay, all answers are ABORTED. Afterwards nothing is
    driven any more, and all columns are written and answered in any case. Settings that can't be
    are answered by one ABORTED.

    After the measurement a column takes 60 cycles, COMPENSATE 2 for each column and 19 for each
    place that the scale moves up, beside 40.

    Members:
        start: strobe: CALIBRATE, or with `compensate` COMPENSATE, of `tile`; these and `scalars`
            hold until the last answer is taken.
        abort: level.
        probes, responses: of `MvmUnit`.
        writes: Out(stream): entries of the correction tables.
        written, entry: strobe: an entry of the tables was taken, from here or elsewhere.
        answers: Out(stream): `place_answer`; the last one with `last`.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "compensate": In(1),
                "tile": In(range(max(2, config.tiles))),
                "scalars": In(SCALAR_VALUES),
                "abort": In(1),
                "probes": Out(stream.Signature(probe(config))),
                "responses": In(stream.Signature(probe_response(config))),
                "writes": Out(stream.Signature(correction_write(config))),
                "written": In(1),
                "entry": In(correction_write(config)),
                "answers": Out(stream.Signature(place_answer(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, scalars, answer = self._config, self.scalars, self.answers.payload
        row_bits, total = (config.rows - 1).bit_length(), signed(_used_total_bits(config))
        m.submodules.meter = meter = ColumnMeter(config)
        wiring.connect(m, meter.probes, wiring.flipped(self.probes))
        wiring.connect(m, wiring.flipped(self.responses), meter.responses)
        column = Signal(range(config.columns))
        levels = self._table(m, CorrectionField.LEVELS, config.columns, column)
        base_scale = self._table(m, CorrectionField.SCALE, 1, 0)
        base_shift = self._table(m, CorrectionField.SHIFT, 1, 0)
        used_total, remember = Signal(total), Signal()
        reference, has_reference = self._reference(m, meter, used_total, remember)

        compensating, single, stopped = Signal(), Signal(), Signal()
        result = Signal.like(answer.result)
        average = scalars.calibration_average
        m.d.comb += [
            meter.tile.eq(self.tile),
            meter.parts.eq(Mux(compensating, reference.parts, scalars.calibration_parts)),
            meter.average.eq(Mux(compensating, reference.average, average)),
            meter.abort.eq(self.abort),
            meter.column.eq(column),
        ]
        half = Signal(1 << len(average))
        m.d.comb += half.eq((1 << average) >> 1)

        # What the column's levels give, and what it gave.
        expected, tried, found = Signal(_EXPECTED_BITS), Signal(), Signal(total_bits(config) - 1)
        m.d.comb += [
            expected.eq((levels << LEAK_FRACTION) + (scalars.leak << row_bits)),
            tried.eq(expected >= SMALLEST_SUM << LEAK_FRACTION),
            found.eq(Mux(meter.total > 0, meter.total, 1)),
        ]
        gain, scale, shift = (
            Signal(CORRECTION_GAIN_BITS),
            Signal(SCALE_BITS),
            Signal(SHIFT_BITS),
        )
        today = Signal(total.width + 2)
        m.submodules.multiplier = multiplier = SerialMultiplier(
            max(_EXPECTED_BITS, ZERO_BITS, total.width), max(GAIN_BITS, SCALE_BITS)
        )
        m.submodules.divider = divider = SerialDivider(
            len(multiplier.product) + AVERAGE_MAXIMUM + 2,
            max(len(found) + GAIN_SHIFT + 1, len(today) + 1),
            SCALE_BITS,
        )
        scaled = multiplier.product[: _EXPECTED_BITS + GAIN_BITS]
        # Numerators and divisors are doubled, so that quotients are rounded.
        with m.If(compensating):
            m.d.comb += [
                multiplier.multiplicand.eq(reference.total),
                multiplier.factor.eq(base_scale),
                divider.numerator.eq((multiplier.product << 1) + today),
                divider.divisor.eq(today << 1),
            ]
        with m.Else():
            m.d.comb += [
                divider.numerator.eq((scaled << average << 1) + (found << GAIN_SHIFT)),
                divider.divisor.eq(found << (GAIN_SHIFT + 1)),
            ]
        good = (
            (meter.total > 0)
            & ~meter.saturated
            & ~divider.overflow
            & (divider.quotient < 1 << CORRECTION_GAIN_BITS)
        )
        failed, offset = Signal(), Signal(CORRECTION_OFFSET_BITS)
        lowest = 1 << (CORRECTION_OFFSET_BITS - 1)
        rounded = (multiplier.product[: ZERO_BITS + CORRECTION_GAIN_BITS] + half) >> average

        def ends(how: Result) -> None:
            m.d.sync += result.eq(how.value)
            m.next = "ANSWER"

        m.d.comb += [
            self.writes.payload.tile.eq(self.tile),
            answer.place.eq(column),
            answer.result.eq(result),
            answer.code.eq(Mux(single | stopped, 0, (meter.zero + half) >> average)),
            answer.last.eq(single | (column == config.columns - 1)),
        ]
        with m.FSM(name="calibration"):
            with m.State("IDLE"):
                m.d.sync += [
                    column.eq(0),
                    used_total.eq(0),
                    stopped.eq(0),
                    single.eq(self.compensate),
                    compensating.eq(self.compensate),
                ]
                with m.If(self.start):
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(compensating & ~has_reference):
                    ends(Result.UNCALIBRATED)
                with m.Elif((meter.parts > row_bits) | (meter.average > AVERAGE_MAXIMUM)):
                    m.d.sync += single.eq(1)
                    ends(Result.ABORTED)
                with m.Else():
                    m.d.comb += meter.start.eq(1)
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.d.sync += [scale.eq(base_scale), shift.eq(base_shift)]
                with m.If(meter.done):
                    m.next = "SCALE"
                    with m.If(compensating):
                        m.next = "FETCH"
                    with m.If(meter.aborted):
                        m.d.sync += stopped.eq(1)
                        ends(Result.ABORTED)
            with m.State("SCALE"):
                self._write(m, CorrectionField.SCALE, 0, scale, "SHIFT")
            with m.State("SHIFT"):
                self._write(m, CorrectionField.SHIFT, 0, shift, "FETCH")
                with m.If(compensating & self.writes.ready):
                    m.next = "ANSWER"
            with m.State("FETCH"):
                m.next = "LOOK"
            with m.State("LOOK"):
                in_use = meter.used.bit_select(column // config.output_columns, 1)
                if config.reference < config.columns:
                    in_use |= column >= config.reference
                with m.If(in_use):
                    m.d.sync += used_total.eq(used_total + meter.total)
                with m.If(compensating):
                    m.d.sync += column.eq(column + 1)
                    m.next = "FETCH"
                    with m.If(column == config.columns - 1):
                        m.d.sync += column.eq(0)
                        m.next = "COMPARE"
                with m.Else():
                    m.d.comb += [
                        multiplier.start.eq(1),
                        multiplier.multiplicand.eq(expected),
                        multiplier.factor.eq(meter.adc_gain),
                    ]
                    m.next = "MULTIPLY"
            with m.State("COMPARE"):
                m.d.comb += multiplier.start.eq(1)
                m.d.sync += today.eq(used_total)
                m.next = "MULTIPLY"
                with m.If((reference.total <= 0) | (used_total <= 0)):
                    ends(Result.UNCALIBRATED)
            with m.State("MULTIPLY"):
                with m.If(multiplier.done):
                    m.d.comb += divider.start.eq(1)
                    m.next = "FIT"
                    with m.If(~compensating):
                        m.next = "GAIN"
            with m.State("FIT"):
                with m.If(divider.done):
                    m.d.sync += [scale.eq(divider.quotient), result.eq(Result.CONVERGED.value)]
                    m.next = "SCALE"
                    with m.If(divider.overflow):
                        m.d.sync += [shift.eq(shift - 1), today.eq(today << 1)]
                        m.next = "MULTIPLY"
                        with m.If(shift == 0):
                            ends(Result.UNCALIBRATED)
            with m.State("GAIN"):
                m.d.sync += [
                    gain.eq(Mux(tried & good, divider.quotient, 1 << CORRECTION_FRACTION)),
                    failed.eq(tried & ~good),
                ]
                with m.If(divider.done):
                    m.next = "ZERO"
            with m.State("ZERO"):
                m.d.comb += [
                    multiplier.start.eq(1),
                    multiplier.multiplicand.eq(meter.zero),
                    multiplier.factor.eq(gain),
                ]
                m.next = "OFFSET"
            with m.State("OFFSET"):
                m.d.sync += [
                    offset.eq(-Mux(rounded > lowest, lowest, rounded)),
                    result.eq(
                        Mux(
                            failed | (rounded > lowest),
                            Result.UNCALIBRATED.value,
                            Result.CONVERGED.value,
                        )
                    ),
                ]
                with m.If(multiplier.done):
                    m.next = "WRITE_GAIN"
            with m.State("WRITE_GAIN"):
                self._write(m, CorrectionField.COLUMN_GAIN, column, gain, "WRITE_OFFSET")
            with m.State("WRITE_OFFSET"):
                self._write(m, CorrectionField.COLUMN_OFFSET, column, offset, "ANSWER")
            with m.State("ANSWER"):
                m.d.comb += self.answers.valid.eq(1)
                with m.If(self.answers.ready):
                    m.d.sync += column.eq(column + 1)
                    with m.If(answer.last):
                        m.d.comb += remember.eq(~single & ~stopped)
                        m.next = "IDLE"
                    with m.Elif(~stopped):
                        m.next = "FETCH"
        return m

    def _write(
        self, m: Module, field: CorrectionField, place: object, value: Signal, after: str
    ) -> None:
        """Offer an entry of the tables, and go on when it is taken."""
        entry = self.writes.payload
        m.d.comb += [
            self.writes.valid.eq(1),
            entry.field.eq(field),
            entry.place.eq(place),
            entry.value.eq(value),
        ]
        with m.If(self.writes.ready):
            m.next = after

    def _table(self, m: Module, field: CorrectionField, places: int, place: object) -> Signal:
        """What software wrote to a table, at a place of the tile, a cycle later."""
        name, entry = field.name.lower(), self.entry
        m.submodules[name] = table = memory.Memory(
            shape=WIDTHS[field], depth=self._config.tiles * places, init=[]
        )
        write, read = table.write_port(), table.read_port()
        m.d.comb += [
            write.en.eq(self.written & ~self.writes.valid & (entry.field == field)),
            write.addr.eq(entry.tile * places + (entry.place if places > 1 else 0)),
            write.data.eq(entry.value),
            read.en.eq(1),
            read.addr.eq(self.tile * places + place),
        ]
        return read.data

    def _reference(
        self, m: Module, meter: ColumnMeter, used_total: Signal, remember: Signal
    ) -> tuple[data.View, Signal]:
        """What COMPENSATE compares with, and whether there is something, a cycle later.

        `remember` stores how the tile was measured and what that gave.
        """
        shape = data.StructLayout(
            {
                "total": used_total.shape(),
                "parts": meter.parts.shape(),
                "average": meter.average.shape(),
            }
        )
        tiles, entry = self._config.tiles, self.entry
        m.submodules.references = references = memory.Memory(shape=shape, depth=tiles, init=[])
        m.submodules.known = known = memory.Memory(shape=1, depth=tiles, init=[])
        write, read = references.write_port(), references.read_port()
        know, is_known = known.write_port(), known.read_port()
        m.d.comb += [
            write.en.eq(remember),
            write.addr.eq(self.tile),
            write.data.total.eq(used_total),
            write.data.parts.eq(meter.parts),
            write.data.average.eq(meter.average),
            read.en.eq(1),
            read.addr.eq(self.tile),
            know.en.eq(
                remember
                | self.written
                & (
                    (entry.field == CorrectionField.ADC_GAIN)
                    | (entry.field == CorrectionField.OUTPUT)
                )
            ),
            know.addr.eq(Mux(remember, self.tile, entry.tile)),
            know.data.eq(remember),
            is_known.en.eq(1),
            is_known.addr.eq(self.tile),
        ]
        return read.data, is_known.data


def _used_total_bits(config: CrossbarConfig) -> int:
    """Width of the sum of all columns' totals, signed."""
    return total_bits(config) + config.columns.bit_length()
