"""Measures what the columns of a tile conduct, for CALIBRATE and COMPENSATE."""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import GAIN_BITS
from celosia.golden.crossbar.settings import AVERAGE_MAXIMUM, SCALARS, Setting

__all__ = ["ZERO_BITS", "ColumnMeter", "probe", "probe_response", "total_bits"]

ZERO_BITS = CODE_BITS + AVERAGE_MAXIMUM
"""Sum of a column's codes with nothing driven."""
_PARTS_BITS = SCALARS[Setting.CALIBRATION_PARTS][0]
_AVERAGE_BITS = SCALARS[Setting.CALIBRATION_AVERAGE][0]


def total_bits(config: CrossbarConfig) -> int:
    """Width of a column's sum over all masks less as many zeros, signed."""
    return ZERO_BITS + (config.rows - 1).bit_length() + 1


def probe(config: CrossbarConfig) -> data.StructLayout:
    """A mask of rows that are driven once, and the tile."""
    return data.StructLayout({"tile": range(max(2, config.tiles)), "rows": config.rows})


def probe_response(config: CrossbarConfig) -> data.StructLayout:
    """What a probe gave, and with what: codes and flags of all columns, the tile's gain code, and
    the physical outputs in use, a bit for each."""
    return data.StructLayout(
        {
            "codes": data.ArrayLayout(CODE_BITS, config.columns),
            "saturated": config.columns,
            "adc_gain": GAIN_BITS,
            "used": config.outputs + config.spares,
        }
    )


class ColumnMeter(wiring.Component):
    """Drives nothing, then every 2**parts-th row in turn, each mask 2**average times.

    It is `celosia.golden.crossbar.calibration.measure`. After each probe the codes are added up
    column by column, 2 cycles each.

    Members:
        start: strobe: measure `tile`; it, `parts` (at most the logarithm of the rows) and `average`
            hold until `done`.
        abort: level: end the measurement after the probe at hand, if that isn't dropped.
        done: strobe: the measurement is over; `aborted`, with it: it isn't complete.
        probes: Out(stream): `probe`. responses: In(stream): `probe_response`, offered until it is
            taken, as the probe is in the same cycle; a probe that is taken without one was dropped.
        column: which is read, when nothing is measured.
        zero, total, saturated: that column's, as in `Measurement`, in the next cycle.
        adc_gain, used: of the last response.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        response = probe_response(config)
        super().__init__(
            {
                "start": In(1),
                "tile": In(range(max(2, config.tiles))),
                "parts": In(_PARTS_BITS),
                "average": In(_AVERAGE_BITS),
                "abort": In(1),
                "done": Out(1),
                "aborted": Out(1),
                "probes": Out(stream.Signature(probe(config))),
                "responses": In(stream.Signature(response)),
                "column": In(range(config.columns)),
                "zero": Out(ZERO_BITS),
                "total": Out(signed(total_bits(config))),
                "saturated": Out(1),
                "adc_gain": Out(GAIN_BITS),
                "used": Out(response["used"].shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, found = self._config, self.responses.payload
        row_bits = (config.rows - 1).bit_length()
        sums = data.StructLayout(
            {"zero": ZERO_BITS, "total": signed(total_bits(config)), "saturated": 1}
        )
        m.submodules.sums = table = memory.Memory(shape=sums, depth=config.columns, init=[])
        write, read = table.write_port(), table.read_port()
        part, driving, first = Signal(row_bits), Signal(), Signal()
        repeats = Signal(1 << _AVERAGE_BITS)
        column, measuring = Signal(range(config.columns)), Signal()

        # Row r is driven in part r mod 2**parts.
        mask = Signal(row_bits)
        parts = self.parts[: row_bits.bit_length()]
        m.d.comb += mask.eq((1 << parts) - 1)
        for row in range(config.rows):
            same = (Const(row, row_bits) & mask) == part
            m.d.comb += self.probes.payload.rows[row].eq(driving & same)
        m.d.comb += self.probes.payload.tile.eq(self.tile)

        code, before = Signal(CODE_BITS), data.View(sums, Mux(first, 0, read.data.as_value()))
        m.d.comb += [
            code.eq(found.codes[column]),
            read.en.eq(1),
            read.addr.eq(Mux(measuring, column, self.column)),
            self.zero.eq(read.data.zero),
            self.total.eq(read.data.total),
            self.saturated.eq(read.data.saturated),
            write.addr.eq(column),
            write.data.zero.eq(before.zero + Mux(driving, 0, code)),
            write.data.total.eq(before.total + Mux(driving, code, -(code << parts))),
            write.data.saturated.eq(before.saturated | found.saturated.bit_select(column, 1)),
        ]
        with m.FSM(name="measurement") as machine:
            m.d.comb += measuring.eq(~machine.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [
                    self.aborted.eq(0),
                    repeats.eq((1 << self.average) - 1),
                    part.eq(0),
                    driving.eq(0),
                    first.eq(1),
                    column.eq(0),
                ]
                with m.If(self.start):
                    m.next = "PROBE"
            with m.State("PROBE"):
                m.d.comb += self.probes.valid.eq(1)
                with m.If(self.responses.valid):
                    m.next = "FETCH"
                with m.Elif(self.probes.ready):
                    m.d.sync += self.aborted.eq(1)
                    m.next = "DONE"
            with m.State("FETCH"):
                m.d.comb += self.probes.valid.eq(1)
                m.next = "STORE"
            with m.State("STORE"):
                m.d.comb += [self.probes.valid.eq(1), write.en.eq(1)]
                m.d.sync += column.eq(column + 1)
                m.next = "FETCH"
                with m.If(column == config.columns - 1):
                    m.d.comb += self.responses.ready.eq(1)
                    m.d.sync += [
                        column.eq(0),
                        first.eq(0),
                        self.adc_gain.eq(found.adc_gain),
                        self.used.eq(found.used),
                        repeats.eq(repeats - 1),
                    ]
                    m.next = "PROBE"
                    with m.If(repeats == 0):
                        m.d.sync += [repeats.eq((1 << self.average) - 1), driving.eq(1)]
                        with m.If(driving):
                            m.d.sync += part.eq(part + 1)
                            with m.If(part == mask):
                                m.next = "DONE"
                    with m.If(self.aborted | self.abort):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        with m.If(self.abort & measuring):
            m.d.sync += self.aborted.eq(1)
        return m
