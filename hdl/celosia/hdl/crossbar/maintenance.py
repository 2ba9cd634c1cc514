"""Commands that aren't on cells: what is counted and found, and what is made of it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.telemetry import WORD_BITS, StatusRegion, line_words, status_regions
from celosia.hdl.crossbar.calibrator import Calibrator
from celosia.hdl.crossbar.column_meter import probe, probe_response
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.programmer import cell_result, region_command
from celosia.hdl.crossbar.repairer import Repairer
from celosia.hdl.crossbar.settings_store import SCALAR_VALUES

__all__ = ["Maintenance"]


class Maintenance(wiring.Component):
    """Executes `MAINTENANCE`, as `celosia.golden.crossbar.controller.Controller` does.

    NOP, CLEAR and RENEW are answered by one result, in row and column 0, and so is a command on a
    tile that isn't there: ABORTED. REPAIR is answered output by output (`Repairer`). NOP and CLEAR
    take 2 cycles, RENEW one more for each word of the tile's map. CALIBRATE is answered column by
    column, COMPENSATE once (`Calibrator`). Aborts end measurements, and nothing else.

    Members:
        commands: In(stream): `region_command`, of which the region means nothing. Taken when the
            one before is answered.
        results: Out(stream): `cell_result`.
        busy: a command is under way.
        clear, renew, renewed, scanned, scan_word: of `Status`.
        judged, bad: strobe: a column was calibrated, or couldn't be; to `Status`, with the result.
        scalars, abort: as for `Programmer`.
        probes, responses: of `MvmUnit`.
        writes: Out(stream): entries of the correction tables.
        written, entry: strobe: an entry was taken, from here or elsewhere.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        regions = status_regions(config)
        super().__init__(
            {
                "commands": In(stream.Signature(region_command(config))),
                "results": Out(stream.Signature(cell_result(config))),
                "busy": Out(1),
                "clear": Out(1),
                "renew": Out(1),
                "renewed": Out(range(len(regions[StatusRegion.WEAR]))),
                "scanned": Out(range(len(regions[StatusRegion.MAP]))),
                "scan_word": In(WORD_BITS),
                "judged": Out(1),
                "bad": Out(1),
                "scalars": In(SCALAR_VALUES),
                "abort": In(1),
                "probes": Out(stream.Signature(probe(config))),
                "responses": In(stream.Signature(probe_response(config))),
                "writes": Out(stream.Signature(correction_write(config))),
                "written": In(1),
                "entry": In(correction_write(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, answer = self._config, self.results.payload
        m.submodules.repairer = repairer = Repairer(config)
        command = Signal(region_command(config))
        words = (config.rows + 1) * line_words(config)
        word = Signal(range(words))
        result = Signal.like(answer.result)
        m.submodules.calibrator = calibrator = Calibrator(config)
        wiring.connect(m, calibrator.probes, wiring.flipped(self.probes))
        wiring.connect(m, wiring.flipped(self.responses), calibrator.responses)
        for block in (repairer, calibrator):
            m.d.comb += [
                block.tile.eq(command.tile),
                block.written.eq(self.written),
                block.entry.eq(self.entry),
                block.writes.ready.eq(self.writes.ready),
            ]
            with m.If(block.writes.valid):
                m.d.comb += [self.writes.payload.eq(block.writes.payload), self.writes.valid.eq(1)]
        m.d.comb += [
            answer.command.eq(command.command),
            answer.tag.eq(command.tag),
            # Behind the last row it is the first one again.
            self.renewed.eq(command.tile * config.rows + word % config.rows),
            repairer.scan_word.eq(self.scan_word),
            calibrator.compensate.eq(command.command == Command.COMPENSATE.value),
            calibrator.scalars.eq(self.scalars),
            calibrator.abort.eq(self.abort),
            self.scanned.eq(Mux(self.renew, command.tile * words + word, repairer.scanned)),
        ]
        with m.FSM(name="maintenance") as machine:
            m.d.comb += self.busy.eq(~machine.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [command.eq(self.commands.payload), word.eq(0)]
                with m.If(self.commands.valid):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += result.eq(Result.CONVERGED.value)
                m.next = "ANSWER"
                with m.If(command.tile >= config.tiles):
                    m.d.sync += result.eq(Result.ABORTED.value)
                with m.Elif(command.command == Command.CLEAR.value):
                    m.d.comb += self.clear.eq(1)
                with m.Elif(command.command == Command.RENEW.value):
                    m.next = "RENEW"
                with m.Elif(command.command == Command.REPAIR.value):
                    m.d.comb += repairer.start.eq(1)
                    m.next = "REPAIR"
                with m.Elif((command.command == Command.CALIBRATE.value) | calibrator.compensate):
                    m.d.comb += calibrator.start.eq(1)
                    m.next = "CALIBRATE"
            with m.State("RENEW"):
                m.d.comb += self.renew.eq(1)
                m.d.sync += word.eq(word + 1)
                with m.If(word == words - 1):
                    m.next = "ANSWER"
            with m.State("REPAIR"):
                self._pass_on(m, repairer.answers)
            with m.State("CALIBRATE"):
                given = calibrator.answers.payload.result
                m.d.comb += [
                    self.judged.eq(
                        self.results.valid
                        & self.results.ready
                        & ~calibrator.compensate
                        & (given != Result.ABORTED.value)
                    ),
                    self.bad.eq(given == Result.UNCALIBRATED.value),
                ]
                self._pass_on(m, calibrator.answers)
            with m.State("ANSWER"):
                m.d.comb += [self.results.valid.eq(1), answer.result.eq(result), answer.last.eq(1)]
                with m.If(self.results.ready):
                    m.next = "IDLE"
        return m

    def _pass_on(self, m: Module, answers: stream.Interface) -> None:
        """Answers of a block, until its last one."""
        answer, given = self.results.payload, answers.payload
        m.d.comb += [
            answer.column.eq(given.place),
            answer.result.eq(given.result),
            answer.code.eq(given.code),
            answer.last.eq(given.last),
            self.results.valid.eq(answers.valid),
            answers.ready.eq(self.results.ready),
        ]
        with m.If(answers.valid & answers.ready & given.last):
            m.next = "IDLE"
