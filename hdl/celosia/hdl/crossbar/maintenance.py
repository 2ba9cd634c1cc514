"""Commands that aren't on cells: what is counted and found, and what is made of it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.telemetry import StatusRegion, line_words, status_regions
from celosia.hdl.crossbar.programmer import cell_result, region_command

__all__ = ["Maintenance"]


class Maintenance(wiring.Component):
    """Executes `MAINTENANCE`, as `celosia.golden.crossbar.controller.Controller` does.

    A command is answered by one result, in row and column 0. Where the tile isn't there, that is
    ABORTED. NOP and CLEAR are answered 2 cycles after they were taken, RENEW a cycle later for each
    word of the tile's map.

    Members:
        commands: In(stream): `region_command`, of which the region means nothing. Taken when the
            one before is answered.
        results: Out(stream): `cell_result`.
        busy: a command is under way.
        clear, renew, renewed, scanned: to `Status`.
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
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, answer = self._config, self.results.payload
        command = Signal(region_command(config))
        words = (config.rows + 1) * line_words(config)
        word = Signal(range(words))
        there = Signal()
        m.d.comb += [
            there.eq(command.tile < config.tiles),
            answer.command.eq(command.command),
            answer.tag.eq(command.tag),
            answer.last.eq(1),
            # Behind the last row it is the first one again.
            self.renewed.eq(command.tile * config.rows + word % config.rows),
            self.scanned.eq(command.tile * words + word),
        ]
        with m.FSM(name="maintenance") as machine:
            m.d.comb += self.busy.eq(~machine.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [command.eq(self.commands.payload), word.eq(0)]
                with m.If(self.commands.valid):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += answer.result.eq(Result.CONVERGED.value)
                m.next = "ANSWER"
                with m.If(~there):
                    m.d.sync += answer.result.eq(Result.ABORTED.value)
                with m.Elif(command.command == Command.CLEAR.value):
                    m.d.comb += self.clear.eq(1)
                with m.Elif(command.command == Command.RENEW.value):
                    m.next = "RENEW"
            with m.State("RENEW"):
                m.d.comb += self.renew.eq(1)
                m.d.sync += word.eq(word + 1)
                with m.If(word == words - 1):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.results.valid.eq(1)
                with m.If(self.results.ready):
                    m.next = "IDLE"
        return m
