"""Where a cell's ramp of pulses stands: word line and line of the next pulse."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import VOLTAGE_BITS
from celosia.golden.crossbar.settings import Ramp, RampField, Setting
from celosia.hdl.crossbar.settings_store import RAMP, SCALAR_VALUES

__all__ = ["RampStepper"]

_DIRECTIONS = 2


class RampStepper(wiring.Component):
    """Codes of one ramp after the other, as `celosia.golden.crossbar.cells` steps them.

    One strobe at a time; each acts at the end of its cycle.

    Members:
        fields: the ramp's, while there is a strobe. ramp: which it is. reset: it lowers.
        clear: a new cell: forget the word lines of coarse pulses.
        start: begin the ramp; a fine one at the word line of the last coarse pulse of its
            direction, if there was one.
        advance: a pulse was made; go on. A ramp at its end stays there and counts.
        word_line, line: codes of the next pulse.
        ended: the end was repeated more often than END_PULSES.
    """

    fields: In(RAMP)
    ramp: In(range(len(Ramp)))
    reset: In(1)
    scalars: In(SCALAR_VALUES)
    clear: In(1)
    start: In(1)
    advance: In(1)
    word_line: Out(VOLTAGE_BITS)
    line: Out(VOLTAGE_BITS)
    ended: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fields = {item: self.fields[item.value] for item in RampField}
        base = Signal(VOLTAGE_BITS)
        at_end = Signal(len(getattr(self.scalars, Setting.END_PULSES.name.lower())) + 1)
        m.d.comb += self.ended.eq(at_end > self.scalars.end_pulses)

        coarse = (self.ramp == Ramp.SET) | (self.ramp == Ramp.RESET)
        fine = (self.ramp == Ramp.SET_FINE) | (self.ramp == Ramp.RESET_FINE)
        held = [Signal(VOLTAGE_BITS, name=f"held_{k}") for k in range(_DIRECTIONS)]
        holds = Signal(_DIRECTIONS)
        begins = Signal(VOLTAGE_BITS)
        m.d.comb += begins.eq(
            Mux(
                fine & Mux(self.reset, holds[1], holds[0]),
                Mux(self.reset, held[1], held[0]),
                fields[RampField.WORD_LINE_START],
            )
        )
        word_next, line_next = Signal(VOLTAGE_BITS + 1), Signal(VOLTAGE_BITS + 1)
        word_rises, line_rises = Signal(), Signal()
        line_first = fields[RampField.LINE_FIRST][0]
        m.d.comb += [
            word_next.eq(self.word_line + fields[RampField.WORD_LINE_STEP]),
            line_next.eq(self.line + fields[RampField.LINE_STEP]),
            word_rises.eq(
                (fields[RampField.WORD_LINE_STEP] != 0)
                & (word_next <= fields[RampField.WORD_LINE_STOP])
            ),
            line_rises.eq(
                (fields[RampField.LINE_STEP] != 0) & (line_next <= fields[RampField.LINE_STOP])
            ),
        ]
        with m.If(self.start):
            m.d.sync += [
                base.eq(begins),
                self.word_line.eq(begins),
                self.line.eq(fields[RampField.LINE_START]),
                at_end.eq(0),
            ]
        with m.If(self.advance):
            for direction in range(_DIRECTIONS):
                with m.If(coarse & (self.reset == direction)):
                    m.d.sync += [held[direction].eq(self.word_line), holds[direction].eq(1)]
            with m.Switch(Cat(word_rises, line_rises, line_first)):
                with m.Case("-00"):
                    m.d.sync += at_end.eq(at_end + 1)
                with m.Case("0-1"):
                    m.d.sync += self.word_line.eq(word_next)
                with m.Case("010"):
                    m.d.sync += [self.word_line.eq(base), self.line.eq(line_next)]
                with m.Case("11-"):
                    m.d.sync += self.line.eq(line_next)
                with m.Case("101"):
                    fresh = fields[RampField.LINE_START]
                    m.d.sync += [self.word_line.eq(word_next), self.line.eq(fresh)]
        with m.If(self.clear):
            m.d.sync += holds.eq(0)
        return m
