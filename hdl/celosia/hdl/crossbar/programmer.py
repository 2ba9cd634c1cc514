"""FORM, PROGRAM, READ, SCRUB and BIST: one cell after the other, as the golden programmer does."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.commands import ON_CELLS, TARGETED, Command, Result, Scheme
from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode, port_widths
from celosia.golden.crossbar.settings import PULSE_COUNT_BITS, Ramp, RampField
from celosia.hdl.crossbar.access import Outcome, ReadSignature, write_request
from celosia.hdl.crossbar.cell_reader import READ_SUM_BITS, CellReader
from celosia.hdl.crossbar.ramp_stepper import RampStepper
from celosia.hdl.crossbar.settings_store import RAMP, SCALAR_VALUES, WINDOW

__all__ = [
    "COUNT_BITS",
    "RESULT_BITS",
    "TAG_BITS",
    "Programmer",
    "cell_result",
    "place_answer",
    "region_command",
]

TAG_BITS = 8
RESULT_BITS = 4
COUNT_BITS = PULSE_COUNT_BITS + 1
"""BIST programs a cell twice."""


def region_command(config: CrossbarConfig) -> data.StructLayout:
    """A command on a rectangle of cells; `tag` comes back with its results."""
    widths = port_widths(config)
    return data.StructLayout(
        {
            "command": 4,
            "tile": widths["tile"],
            "first_row": range(config.rows),
            "rows": range(config.rows + 1),
            "first_column": widths["column"],
            "columns": range(config.columns + 1),
            "tag": TAG_BITS,
        }
    )


def cell_result(config: CrossbarConfig) -> data.StructLayout:
    """How a command ended for a cell, as in `celosia.golden.crossbar.controller.Answer`."""
    return data.StructLayout(
        {
            "command": 4,
            "tag": TAG_BITS,
            "row": range(config.rows),
            "column": port_widths(config)["column"],
            "result": RESULT_BITS,
            "code": CODE_BITS,
            "pulses": COUNT_BITS,
            "set_pulses": COUNT_BITS,
            "last": 1,
        }
    )


def place_answer(config: CrossbarConfig) -> data.StructLayout:
    """How a command ended for a column or an output of a tile."""
    column = port_widths(config)["column"]
    return data.StructLayout({"place": column, "result": RESULT_BITS, "code": CODE_BITS, "last": 1})


class Programmer(wiring.Component):
    """Executes `ON_CELLS`; every pulse, code and result is that of the golden programmer.

    Cells go row by row. Each gives one result, the region's last one with `last`. A region that
    isn't on its tile, or empty, or another command, is answered by one ABORTED with `last`.

    Abort, or a pulse that was cut off, ends the command: the cell at hand and those behind it are
    ABORTED, each with its result; PROGRAM and SCRUB take their targets all the same, so that the
    streams stay in step. A cell whose pulse the limiter refuses is ABORTED, the next one goes on.

    Members:
        commands: In(stream): `region_command`. Taken when the one before is answered.
        targets: In(stream): level of each cell, for PROGRAM and SCRUB.
        results: Out(stream): `cell_result`.
        scalars, ramp, ramp_fields, level, window: the settings (`SettingsStore`).
        abort: level.
        busy: a command is under way; settings must hold.
        converted: strobe: a conversion was made.
        writes, done, outcome, pulsed: of the limiter. reads: to it.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "commands": In(stream.Signature(region_command(config))),
                "targets": In(stream.Signature(config.cell_bits)),
                "results": Out(stream.Signature(cell_result(config))),
                "scalars": In(SCALAR_VALUES),
                "ramp": Out(range(len(Ramp))),
                "ramp_fields": In(RAMP),
                "level": Out(range(config.levels)),
                "window": In(WINDOW),
                "abort": In(1),
                "busy": Out(1),
                "converted": Out(1),
                "writes": Out(stream.Signature(write_request(config))),
                "done": In(1),
                "outcome": In(Outcome),
                "pulsed": In(1),
                "reads": Out(ReadSignature(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, scalars, asked = self._config, self.scalars, self.commands.payload
        m.submodules.reader = reader = CellReader(config)
        m.submodules.stepper = stepper = RampStepper()
        command = Signal(region_command(config))
        row, column = Signal(range(config.rows)), Signal(range(config.columns))
        rows_left = Signal.like(command.rows)
        columns_left = Signal.like(command.columns)
        stopping = Signal()  # the command is over, but for its answers
        first, forming, trusting = Signal(), Signal(), Signal()
        result, earlier = Signal(RESULT_BITS), Signal(RESULT_BITS)
        pulses = Signal(PULSE_COUNT_BITS)  # of this cell, and with BIST of this level
        total, set_total = Signal(COUNT_BITS), Signal(COUNT_BITS)
        code = Signal(CODE_BITS)
        confirming = Signal.like(scalars.confirms)
        flips = Signal(len(scalars.maximum_flips) + 1)
        known, reset, far, same_ramp = Signal(), Signal(), Signal(), Signal()
        fresh, ramp, wanted = Signal(), Signal(range(len(Ramp))), Signal(range(len(Ramp)))

        def is_a(*some: Command) -> Signal:
            return sum((command.command == int(one) for one in some), start=0) != 0

        shift = scalars.read_shift
        m.d.comb += [
            reader.tile.eq(command.tile),
            reader.row.eq(row),
            reader.column.eq(column),
            reader.scalars.eq(scalars),
            reader.abort.eq(self.abort),
            self.converted.eq(reader.converted),
            stepper.scalars.eq(scalars),
            stepper.fields.eq(self.ramp_fields),
            stepper.ramp.eq(ramp),
            stepper.reset.eq(reset),
            self.ramp.eq(ramp),
        ]
        request = self.writes.payload
        m.d.comb += [
            request.tile.eq(command.tile),
            request.row.eq(row),
            request.column.eq(column),
            request.biasing.eq(scalars.biasing),
            request.word_line.eq(stepper.word_line),
            request.line.eq(stepper.line),
            request.width.eq(self.ramp_fields[RampField.WIDTH.value]),
            request.mode.eq(
                Mux(
                    ramp == Ramp.FORM,
                    BiasMode.FORM.value,
                    Mux(reset, BiasMode.RESET.value, BiasMode.SET.value),
                )
            ),
        ]
        wiring.connect(m, reader.reads, wiring.flipped(self.reads))

        # What a read means.
        loose = trusting | (confirming != 0)
        low = Mux(loose, self.window[0], self.window[2])
        high = Mux(loose, self.window[1], self.window[3])
        under, over = Signal(signed(READ_SUM_BITS + 2)), Signal(signed(READ_SUM_BITS + 2))
        below, outside, formed = Signal(), Signal(), Signal()
        distance = Signal(READ_SUM_BITS + 1)
        m.d.comb += [
            under.eq((low << shift) - reader.total),
            over.eq(reader.total - (high << shift)),
            below.eq(under > 0),
            outside.eq(below | (over > 0)),
            distance.eq(Mux(below, under, over)),
            formed.eq(reader.total >= (scalars.formed_code << shift)),
        ]
        exhausted = pulses >= scalars.maximum_pulses
        last = (rows_left == 1) & (columns_left == 1)
        answer = self.results.payload
        m.d.comb += [
            answer.command.eq(command.command),
            answer.tag.eq(command.tag),
            answer.row.eq(row),
            answer.column.eq(column),
            answer.result.eq(result),
            answer.code.eq(code),
            answer.pulses.eq(total),
            answer.set_pulses.eq(set_total),
            answer.last.eq(last),
        ]
        with m.If(self.pulsed):
            m.d.sync += [pulses.eq(pulses + 1), total.eq(total + 1)]
            with m.If((ramp == Ramp.FORM) | ~reset):
                m.d.sync += set_total.eq(set_total + 1)

        def ends(how: Result) -> None:
            m.d.sync += result.eq(how.value)
            m.next = "ENDED"

        with m.FSM(name="programmer") as machine:
            m.d.comb += self.busy.eq(~machine.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [
                    command.eq(asked),
                    row.eq(asked.first_row),
                    column.eq(asked.first_column),
                    rows_left.eq(asked.rows),
                    columns_left.eq(asked.columns),
                    stopping.eq(0),
                    code.eq(0),
                    total.eq(0),
                    set_total.eq(0),
                ]
                with m.If(self.commands.valid):
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(
                    is_a(*ON_CELLS)
                    & (command.tile < config.tiles)
                    & (command.rows != 0)
                    & (command.columns != 0)
                    & (command.first_row + command.rows <= config.rows)
                    & (command.first_column + command.columns <= config.columns)
                ):
                    m.next = "TARGET"
                with m.Else():
                    m.d.sync += [
                        result.eq(Result.ABORTED.value),
                        rows_left.eq(1),
                        columns_left.eq(1),
                    ]
                    m.next = "ANSWER"
            with m.State("TARGET"):
                needs = is_a(*TARGETED)
                top = Mux(is_a(Command.BIST), config.levels - 1, 0)
                m.d.comb += self.targets.ready.eq(needs)
                m.d.sync += [
                    self.level.eq(Mux(needs, self.targets.payload, top)),
                    first.eq(1),
                    code.eq(0),
                    total.eq(0),
                    set_total.eq(0),
                    earlier.eq(Result.CONVERGED.value),
                ]
                with m.If(~needs | self.targets.valid):
                    m.next = "CELL"
            with m.State("CELL"):
                m.d.comb += stepper.clear.eq(1)
                m.d.sync += [
                    forming.eq(is_a(Command.FORM)),
                    trusting.eq(is_a(Command.SCRUB)),
                    pulses.eq(0),
                    confirming.eq(0),
                    flips.eq(0),
                    known.eq(0),
                    fresh.eq(1),
                    reset.eq(0),
                ]
                m.next = "START"
            with m.State("START"):
                with m.If(stopping | self.abort):
                    ends(Result.ABORTED)
                with m.Else():
                    m.d.comb += reader.start.eq(1)
                    m.next = "READ"
            with m.State("READ"):
                with m.If(reader.done):
                    m.d.sync += code.eq((reader.total + ((1 << shift) >> 1)) >> shift)
                    m.next = "JUDGE"
                with m.Elif(self.abort):
                    ends(Result.ABORTED)
            with m.State("JUDGE"):
                self._direct(m, known, reset, flips, below, forming)
                m.d.sync += [
                    trusting.eq(0),
                    far.eq(forming | (distance > (scalars.coarse_distance << shift))),
                ]
                m.next = "CHOOSE"
                with m.If(is_a(Command.READ)):
                    ends(Result.CONVERGED)
                with m.Elif(forming):
                    m.d.sync += forming.eq(~formed)
                    with m.If(~formed):
                        m.d.sync += [wanted.eq(Ramp.FORM.value), known.eq(0), reset.eq(0)]
                        m.next = "LIMITS"
                        with m.If(stepper.ended & ~fresh | exhausted):
                            ends(Result.UNFORMED)
                with m.Elif(~outside):
                    m.d.sync += [known.eq(known), reset.eq(reset), flips.eq(flips)]
                    m.d.sync += confirming.eq(confirming + 1)
                    m.next = "START"
                    with m.If(trusting | (confirming == scalars.confirms)):
                        ends(Result.CONVERGED)
                with m.Else():
                    m.d.sync += confirming.eq(0)
            with m.State("CHOOSE"):
                fine = (scalars.scheme == Scheme.COARSE_FINE.value) & ~far
                m.d.sync += wanted.eq(Mux(fine, Ramp.SET_FINE.value, Ramp.SET.value) + reset)
                m.next = "LIMITS"
            with m.State("LIMITS"):
                m.d.comb += same_ramp.eq(~fresh & (ramp == wanted))
                m.d.sync += [ramp.eq(wanted), fresh.eq(~same_ramp)]
                m.next = "LOOK_UP"
                with m.If(flips > scalars.maximum_flips):
                    ends(Result.OSCILLATING)
                with m.Elif(exhausted):
                    ends(Result.TIMEOUT)
                with m.Elif(same_ramp & stepper.ended):
                    m.d.sync += result.eq(
                        Mux(reset, Result.STUCK_HIGH.value, Result.STUCK_LOW.value)
                    )
                    m.next = "ENDED"
            with m.State("LOOK_UP"):
                m.next = "RAMP"
            with m.State("RAMP"):
                m.d.comb += stepper.start.eq(fresh)
                m.d.sync += fresh.eq(0)
                m.next = "PULSE"
            with m.State("PULSE"):
                m.d.comb += self.writes.valid.eq(1)
                with m.If(self.writes.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(self.done):
                    with m.If(self.outcome == Outcome.DONE):
                        m.d.comb += stepper.advance.eq(1)
                        m.next = "START"
                    with m.Else():
                        with m.If(self.outcome == Outcome.CUT):
                            m.d.sync += stopping.eq(1)
                        ends(Result.ABORTED)
            with m.State("ENDED"):
                m.next = "ANSWER"
                with m.If(is_a(Command.BIST) & first & ~stopping & ~self.abort):
                    m.d.sync += [first.eq(0), earlier.eq(result), self.level.eq(0)]
                    m.next = "CELL"
                with m.Elif((earlier != Result.CONVERGED.value) & ~stopping & ~self.abort):
                    m.d.sync += result.eq(earlier)
            with m.State("ANSWER"):
                m.d.comb += self.results.valid.eq(1)
                with m.If(self.results.ready):
                    m.d.sync += [column.eq(column + 1), columns_left.eq(columns_left - 1)]
                    m.next = "TARGET"
                    with m.If(columns_left == 1):
                        m.d.sync += [
                            column.eq(command.first_column),
                            columns_left.eq(command.columns),
                            row.eq(row + 1),
                            rows_left.eq(rows_left - 1),
                        ]
                    with m.If(last):
                        m.next = "IDLE"
        with m.If(self.abort & self.busy):
            m.d.sync += stopping.eq(1)
        return m

    def _direct(
        self,
        m: Module,
        known: Signal,
        reset: Signal,
        flips: Signal,
        below: Signal,
        forming: Signal,
    ) -> None:
        """The direction of the next pulse; after forming it is RESET."""
        down = forming | ~below
        m.d.sync += [known.eq(1), reset.eq(down)]
        with m.If(known & (reset != down)):
            m.d.sync += flips.eq(flips + 1)
