"""From a product's codes to its sums: correction, subtraction, shift-and-add, scale."""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import MAGNITUDE_BITS, CrossbarConfig, WeightMapping
from celosia.golden.crossbar.corrections import (
    CORRECTION_GAIN_BITS,
    CORRECTION_OFFSET_BITS,
    SCALE_BITS,
    SHIFT_BITS,
    VALUE_BITS,
    CorrectionField,
)
from celosia.hdl.crossbar.product_reader import ISSUES_BITS, SUM_BITS, code_sums

__all__ = ["ProductCorrector", "correction_write"]

CORRECTED_BITS = SUM_BITS + CORRECTION_GAIN_BITS + 1
"""A column's codes times its gain, with its offsets, signed."""
PARTIAL_BITS = CORRECTED_BITS + MAGNITUDE_BITS + 1
"""The same of all slices, less those of the negative columns, or of the reference."""


def correction_write(config: CrossbarConfig) -> data.StructLayout:
    """An entry of the tables: see `celosia.golden.crossbar.corrections`."""
    return data.StructLayout(
        {
            "field": range(len(CorrectionField)),
            "tile": range(max(2, config.tiles)),
            "place": range(max(config.columns, 2)),
            "value": VALUE_BITS,
        }
    )


class ProductCorrector(wiring.Component):
    """Corrects codes column by column and gives the sums of the logical outputs.

    Latency: outputs x (2 x slices + 5) + 2 cycles from ``codes`` to ``sums``; meanwhile ``codes``
    waits, and conversions of the next product go on. All arithmetic is exact but for the last
    shift, which rounds halves up, and sums beyond int32, which end at its limits.

    Members
    -------
    writes : In(stream.Signature(correction_write(config)))
        Entries of the tables, one a cycle; not while a product is at hand.
    codes : In(stream.Signature(code_sums(config)))
        From `ProductReader`.
    sums : Out(stream.Signature(ArrayLayout(signed(32), outputs)))
        The products' sums, in order.
    busy : Out(1)
        Sums are being made or offered.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "writes": In(stream.Signature(correction_write(config))),
                "codes": In(stream.Signature(code_sums(config))),
                "sums": Out(stream.Signature(data.ArrayLayout(signed(32), config.outputs))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, entry = self._config, self.writes.payload
        steps = 2 * config.slices
        m.d.comb += self.writes.ready.eq(1)

        tile = Signal.like(entry.tile)
        output = Signal(range(max(2, config.outputs)))
        physical = Signal(range(max(2, config.outputs + config.spares)))
        step = Signal(range(steps + 5))
        column = Signal(range(config.columns))
        gain = self._table(
            m, CorrectionField.COLUMN_GAIN, config.columns, CORRECTION_GAIN_BITS, tile, column
        )
        offset = self._table(
            m, CorrectionField.COLUMN_OFFSET, config.columns, CORRECTION_OFFSET_BITS, tile, column
        )
        scale = self._table(m, CorrectionField.SCALE, 1, SCALE_BITS, tile, None)
        shift = self._table(m, CorrectionField.SHIFT, 1, SHIFT_BITS, tile, None)
        stands_for = self._table(
            m, CorrectionField.OUTPUT, config.outputs, len(physical), tile, output
        )

        kept = Signal(code_sums(config))
        columns = Signal(data.ArrayLayout(signed(SUM_BITS), config.columns))
        m.d.comb += columns.eq(kept.columns)
        picked, issues = Signal(signed(SUM_BITS)), Signal(signed(ISSUES_BITS))
        corrected = Signal(signed(CORRECTED_BITS))
        partial = Signal(signed(PARTIAL_BITS))
        product = Signal(signed(PARTIAL_BITS + SCALE_BITS + 1))
        shifted = Signal(signed(PARTIAL_BITS + SCALE_BITS + 1))
        m.d.comb += [
            tile.eq(kept.tile),
            issues.eq(kept.issues),
        ]
        half = Signal(1 << SHIFT_BITS)
        m.d.comb += half.eq((Const(1, len(half)) << shift) >> 1)
        # Slice 0 is added, slice 0 subtracted, slice 1 ...: neighbours, or an output's and the
        # reference's in turn.
        own = physical * config.output_columns
        if config.mapping == WeightMapping.OFFSET:
            m.d.comb += column.eq(Mux(step[0], config.reference, own) + (step >> 1))
        else:
            m.d.comb += column.eq(own + step)
        m.d.sync += picked.eq(columns[column])
        m.d.sync += corrected.eq(picked * gain + issues * offset.as_signed())
        with m.FSM(name="correction"):
            with m.State("REST"):
                m.d.comb += self.codes.ready.eq(~self.sums.valid)
                m.d.sync += [output.eq(0), step.eq(0)]
                with m.If(self.codes.valid & self.codes.ready):
                    m.d.sync += kept.eq(self.codes.payload)
                    m.next = "OUTPUT"
            with m.State("OUTPUT"):
                m.next = "MAP"
            with m.State("MAP"):
                m.d.sync += [physical.eq(stands_for), partial.eq(0), step.eq(0)]
                m.next = "COLUMNS"
            with m.State("COLUMNS"):
                m.d.sync += step.eq(step + 1)
                for place in range(steps):
                    # A column is read in one cycle, corrected in the next, added in a third.
                    with m.If(step == place + 2):
                        weighed = corrected << (config.cell_bits * (place // 2))
                        m.d.sync += partial.eq(
                            partial - weighed if place % 2 else partial + weighed
                        )
                with m.If(step == steps + 1):
                    m.next = "SCALE"
            with m.State("SCALE"):
                m.d.sync += product.eq(partial * scale)
                m.next = "SHIFT"
            with m.State("SHIFT"):
                m.d.sync += shifted.eq((product + half) >> shift)
                m.next = "STORE"
            with m.State("STORE"):
                low, high = -(1 << 31), (1 << 31) - 1
                limited = Mux(shifted > high, high, Mux(shifted < low, low, shifted))
                for number in range(config.outputs):
                    with m.If(output == number):
                        m.d.sync += self.sums.payload[number].eq(limited)
                m.d.sync += output.eq(output + 1)
                m.next = "OUTPUT"
                with m.If(output == config.outputs - 1):
                    m.d.sync += self.sums.valid.eq(1)
                    m.next = "REST"
        with m.If(self.sums.valid & self.sums.ready):
            m.d.sync += self.sums.valid.eq(0)
        resting = Signal(init=1)
        with m.If(self.codes.valid & self.codes.ready):
            m.d.sync += resting.eq(0)
        with m.Elif(self.sums.valid & self.sums.ready):
            m.d.sync += resting.eq(1)
        m.d.comb += self.busy.eq(~resting)
        return m

    def _table(
        self,
        m: Module,
        field: CorrectionField,
        places: int,
        width: int,
        tile: Signal,
        place: Signal | None,
    ) -> Signal:
        """A table's entry for a tile and a place, which it shows a cycle later."""
        entry = self.writes.payload
        table = memory.Memory(shape=width, depth=self._config.tiles * places, init=[])
        m.submodules[field.name.lower()] = table
        write, read = table.write_port(), table.read_port()
        m.d.comb += [
            write.en.eq(self.writes.valid & (entry.field == field)),
            write.addr.eq(entry.tile * places + (0 if place is None else entry.place)),
            write.data.eq(entry.value),
            read.en.eq(1),
            read.addr.eq(tile * places + (0 if place is None else place)),
        ]
        return read.data
