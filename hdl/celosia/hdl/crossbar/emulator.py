"""The emulator: tiles of fixed-point cells behind the analog front-end port."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.emulation import (
    CELL_PURPOSE,
    CONDUCTANCE_BITS,
    FAULT_PURPOSE,
    READ_PURPOSE,
    RESET_PURPOSE,
    SET_PURPOSE,
    SLOPE_FRACTION,
    SPREAD_FRACTION,
    EmulatorConfig,
)
from celosia.golden.crossbar.front_end import WRITE_MODES, BiasMode, ReadRange
from celosia.hdl.crossbar.emulator_cells import CELL, Cells
from celosia.hdl.crossbar.emulator_converters import Converters
from celosia.hdl.crossbar.emulator_draws import LATENCY, Draw
from celosia.hdl.crossbar.interfaces import FrontEndSignature

__all__ = ["Emulator", "cell_access"]

_PURPOSES = (CELL_PURPOSE, SET_PURPOSE, RESET_PURPOSE, READ_PURPOSE, FAULT_PURPOSE)
_HALF = 1 << (SLOPE_FRACTION - 1)
_HIGHEST = (1 << CONDUCTANCE_BITS) - 1
_AIM_BITS = 18
"""Signed: 1023 * 65535 / 2^12 downwards from the top, with two scaled deviates of 508."""
_DRAWN = 1 + LATENCY
"""Step in which the draw of what was addressed in step 0 is there."""


def cell_access(config: CrossbarConfig) -> data.StructLayout:
    """The back door: one cell to write, or to read; `line` is tile * rows + row."""
    return data.StructLayout(
        {
            "write": 1,
            "line": range(max(2, config.tiles * config.rows)),
            "column": range(config.columns),
            "value": CELL,
        }
    )


class Emulator(wiring.Component):
    """Tiles that behave as `celosia.golden.crossbar.emulator.EmulatorTwin`, bit for bit.

    Integrating takes rows / rows_per_cycle + 4 cycles, converting 4 in range PRODUCT, or 8 with
    noise, 9 in range CELL; a pulse 10 after its end. Meanwhile ``port.ready`` is low. With faults
    it is low after reset as well, 6 cycles for each cell, in which these enter the cells.
    Conductances and counts survive reset, as those of real cells do.

    Parameters
    ----------
    config : CrossbarConfig
        Sizes.
    emulator : EmulatorConfig
        What cells and converters do.
    rows_per_cycle : int
        Rows that are summed in a cycle, for speed; a power of two, at most ``rows``.

    Members
    -------
    port : In(FrontEndSignature(config))
        The front end.
    memory : In(stream.Signature(cell_access(config)))
        The host's back door to the cells, past all physics; taken while the port is SAFE.
    answer : Out(stream.Signature(CELL))
        The cell, for every access that doesn't write.
    """

    def __init__(
        self, config: CrossbarConfig, emulator: EmulatorConfig, *, rows_per_cycle: int = 8
    ) -> None:
        rows_per_cycle = min(rows_per_cycle, config.rows)
        if rows_per_cycle & (rows_per_cycle - 1) or not 1 <= rows_per_cycle <= config.rows:
            raise ValueError(
                f"rows_per_cycle must be a power of two from 1 to {config.rows}, "
                f"not {rows_per_cycle!r}"
            )
        self._config = config
        self._emulator = emulator
        self._cells = Cells(config, rows_per_cycle, bool(emulator.unformed))
        super().__init__(
            {
                "port": In(FrontEndSignature(config)),
                "memory": In(stream.Signature(cell_access(config))),
                "answer": Out(stream.Signature(CELL)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, emulator, port = self._config, self._emulator, self.port
        m.submodules.cells = cells = self._cells
        m.submodules.draw = draw = Draw(emulator.seed, _PURPOSES)
        m.submodules.converters = converters = Converters(config, emulator, cells.sum_bits)

        # What an access is about, kept from its beginning: an abort clears the port.
        line = Signal(range(max(2, config.tiles * config.rows)))
        column = Signal(range(config.columns))
        row_bits = ceil_log2(config.rows)
        driven = Signal(config.rows)
        mode = Signal.like(port.mode)
        word_line, line_code = Signal.like(port.word_line), Signal.like(port.line)
        width = Signal(emulator.full_width + 1)
        unit = Signal(range(config.unit_cycles))  # cycles left of a unit of width
        step = Signal(4)
        port_row = Signal(range(config.rows))
        for index in range(config.rows):
            with m.If(port.rows[index]):
                m.d.comb += port_row.eq(index)
        reading, writing = Signal(), Signal()  # strobes, or pulses, mean something
        m.d.comb += [
            reading.eq(port.mode == BiasMode.READ),
            writing.eq(Cat(port.mode == mode for mode in WRITE_MODES).any()),
        ]
        code = Signal(CODE_BITS)
        single = Signal()  # the codes are those of one cell
        m.d.comb += [
            cells.tile.eq(line >> row_bits),
            cells.driven.eq(driven),
            cells.line.eq(line),
            cells.column.eq(column),
            cells.value.eq(cells.cell),
            cells.new_accesses.eq(cells.accesses),
            draw.place.eq(line * config.columns + column),
            converters.group.eq(port.group),
            converters.gain.eq(port.gain),
            converters.tile.eq(port.tile),
            converters.sequence.eq(port.sequence),
            converters.sums.eq(cells.sums),
        ]
        for lane in range(config.adcs):
            m.d.comb += port.codes[lane].eq(Mux(single, code, converters.codes[lane]))
        highest = (1 << config.adc_bits) - 1
        m.d.comb += port.saturated.eq(
            Mux(single, (code == highest).replicate(config.adcs), converters.saturated)
        )

        faulty = emulator.stuck_low + emulator.stuck_high > 0
        with m.FSM(name="emulator", init="FAULTS" if faulty else "IDLE"):
            with m.State("IDLE"):
                m.d.comb += port.ready.eq(1)
                m.d.sync += [
                    step.eq(0),
                    width.eq(1),
                    unit.eq(config.unit_cycles - 1),
                    line.eq(Cat(port_row, port.tile)),
                    column.eq(port.column),
                    mode.eq(port.mode),
                    word_line.eq(port.word_line),
                    line_code.eq(port.line),
                ]
                with m.If(writing & port.pulse):
                    m.next = "PULSE"
                with m.Elif(reading & port.integrate):
                    m.d.sync += driven.eq(port.rows)
                    m.next = "INTEGRATE"
                with m.Elif(reading & port.convert & (port.range == ReadRange.CELL)):
                    m.d.sync += single.eq(1)
                    m.next = "READ"
                with m.Elif(reading & port.convert):
                    m.d.comb += converters.start.eq(1)
                    m.d.sync += single.eq(0)
                    m.next = "CONVERT"
                with m.Elif(self.memory.valid & (port.mode == BiasMode.SAFE)):
                    m.d.sync += [
                        line.eq(self.memory.payload.line),
                        column.eq(self.memory.payload.column),
                    ]
                    m.next = "DOOR"
            with m.State("PULSE"):
                with m.If(~port.pulse):
                    m.next = "MOVE"
                with m.Elif(unit != 0):
                    m.d.sync += unit.eq(unit - 1)
                with m.Elif(width < (1 << emulator.full_width)):
                    m.d.sync += [width.eq(width + 1), unit.eq(config.unit_cycles - 1)]
            with m.State("MOVE"):
                m.d.sync += step.eq(step + 1)
                self._move(m, step, draw, mode, word_line, line_code, width)
            with m.State("INTEGRATE"):
                m.d.sync += step.eq(1)
                m.d.comb += cells.start.eq(step == 0)
                with m.If((step != 0) & ~cells.summing):
                    m.next = "IDLE"
            with m.State("READ"):
                m.d.sync += step.eq(step + 1)
                self._read(m, step, draw, column, code)
            with m.State("CONVERT"):
                with m.If(converters.done):
                    m.next = "IDLE"
            with m.State("DOOR"):
                m.d.sync += step.eq(1)
                access = self.memory.payload
                m.d.comb += self.answer.payload.eq(cells.cell)
                with m.If(access.write):
                    m.d.comb += [
                        self.memory.ready.eq(1),
                        cells.write.eq(1),
                        cells.value.eq(access.value),
                    ]
                    m.next = "IDLE"
                with m.Elif(step != 0):
                    m.d.comb += [
                        self.answer.valid.eq(1),
                        self.memory.ready.eq(self.answer.ready),
                    ]
                    with m.If(self.answer.ready):
                        m.next = "IDLE"
            if faulty:
                with m.State("FAULTS"):
                    m.d.sync += step.eq(step + 1)
                    self._enter_fault(m, step, draw, line, column)
        return m

    def _move(
        self,
        m: Module,
        step: Signal,
        draw: Draw,
        mode: Signal,
        word_line: Signal,
        line_code: Signal,
        width: Signal,
    ) -> None:
        """A pulse's effect on its cell, step by step."""
        emulator, cells = self._emulator, self._cells
        resets = mode == BiasMode.RESET
        # Both draws: of the cell itself, then of this pulse.
        with m.If(step == 1):
            m.d.comb += draw.purpose.eq(_PURPOSES.index(CELL_PURPOSE))
        with m.Else():
            purposes = _PURPOSES.index(RESET_PURPOSE), _PURPOSES.index(SET_PURPOSE)
            m.d.comb += [
                draw.purpose.eq(Mux(resets, *purposes)),
                draw.number.eq(cells.accesses.pulses),
            ]
        own, deviate, aim = (
            Signal(signed(_AIM_BITS), name=name) for name in ("own", "deviate", "aim")
        )
        spread = Mux(resets, Const(emulator.reset_spread), Const(emulator.set_spread))
        onset = Mux(resets, emulator.reset_on, emulator.set_on)
        code = Mux(resets, line_code, line_code if emulator.set_by_line else word_line)
        above = Mux(code > onset, code - onset, 0)[:10]
        slope = Mux(resets, emulator.reset_slope, emulator.set_slope)
        way = Signal(_AIM_BITS)
        m.d.comb += way.eq((above * slope + _HALF) >> SLOPE_FRACTION)
        m.d.sync += aim.eq(Mux(resets, self._config.top - way, way))
        with m.If(step == _DRAWN):
            m.d.sync += own.eq((draw.deviate * emulator.device_spread) >> SPREAD_FRACTION)
        with m.If(step == _DRAWN + 1):
            m.d.sync += deviate.eq((draw.deviate * spread) >> SPREAD_FRACTION)

        goal = Signal(signed(_AIM_BITS + 2))
        m.d.sync += goal.eq(aim + own + deviate)
        cell = cells.cell
        unformed = bool(emulator.unformed)
        formed = cell.changed if unformed else ~cell.changed
        forms = (mode == BiasMode.FORM) & (line_code >= emulator.form_line + own)
        now_formed = Signal()
        m.d.comb += now_formed.eq(formed | forms)
        clipped = Signal(signed(CONDUCTANCE_BITS + 1))
        with m.If(goal > _HIGHEST):
            m.d.comb += clipped.eq(_HIGHEST)
        with m.Elif(goal >= 0):
            m.d.comb += clipped.eq(goal)
        now = cell.conductance
        moves = Mux(resets, goal < now, goal > now) & now_formed
        moved = Signal(signed(CONDUCTANCE_BITS + 2))
        m.d.sync += moved.eq(now + (((clipped - now) * width) >> emulator.full_width))
        with m.If(step == _DRAWN + 4):
            m.d.comb += [
                cells.write.eq(1),
                cells.value.conductance.eq(Mux(moves, moved, now)),
                cells.value.changed.eq(now_formed if unformed else ~now_formed),
                cells.write_accesses.eq(1),
                cells.new_accesses.pulses.eq(cells.accesses.pulses + 1),
            ]
            m.next = "IDLE"

    def _read(self, m: Module, step: Signal, draw: Draw, column: Signal, code: Signal) -> None:
        """A conversion of one cell, whose conductance is its column's sum."""
        emulator, cells = self._emulator, self._cells
        m.d.comb += [
            draw.purpose.eq(_PURPOSES.index(READ_PURPOSE)),
            draw.number.eq(cells.accesses.reads),
        ]
        found, scaled = Signal(signed(_AIM_BITS)), Signal(signed(_AIM_BITS + 17))
        noise = Signal(signed(_AIM_BITS))
        picked = Signal(cells.sum_bits)
        m.d.sync += picked.eq(cells.sums[column])
        with m.If(step == _DRAWN):
            fraction = SPREAD_FRACTION + emulator.noise_fraction
            m.d.sync += noise.eq((draw.deviate * emulator.read_spread) >> fraction)
        m.d.sync += [found.eq(picked + noise), scaled.eq(found * emulator.cell_gain + _HALF)]
        rounded = scaled >> SLOPE_FRACTION
        highest = (1 << self._config.adc_bits) - 1
        with m.If(step == _DRAWN + 3):
            m.d.sync += code.eq(Mux(rounded < 0, 0, Mux(rounded > highest, highest, rounded)))
            m.d.comb += [
                cells.write_accesses.eq(1),
                cells.new_accesses.reads.eq(cells.accesses.reads + 1),
            ]
            m.next = "IDLE"

    def _enter_fault(
        self, m: Module, step: Signal, draw: Draw, line: Signal, column: Signal
    ) -> None:
        """Whether a cell is stuck, for all cells one after the other."""
        config, emulator, cells = self._config, self._emulator, self._cells
        m.d.comb += draw.purpose.eq(_PURPOSES.index(FAULT_PURPOSE))
        chance = draw.hashed[16:]
        with m.If(step == _DRAWN):
            m.d.comb += [
                cells.write.eq(1),
                cells.value.stuck_low.eq(chance < emulator.stuck_low),
                cells.value.stuck_high.eq(
                    (chance >= emulator.stuck_low)
                    & (chance < emulator.stuck_low + emulator.stuck_high)
                ),
            ]
            m.d.sync += [step.eq(0), column.eq(column + 1)]
            with m.If(column == config.columns - 1):
                m.d.sync += [column.eq(0), line.eq(line + 1)]
                with m.If(line == config.tiles * config.rows - 1):
                    m.next = "IDLE"
