"""The host's window on the crossbar: settings, commands, results and status, by address."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.telemetry import STATUS_LATENCY, WORD_BITS, status_address_bits
from celosia.golden.memory_map import (
    CORRECTION_FIELD_SHIFT,
    CORRECTION_TILE_SHIFT,
    CROSSBAR_PORT_SHIFT,
    CROSSBAR_QUEUE,
    REGION_SHIFT,
    RESULT_WORDS,
    WORD_BYTES,
    CrossbarControl,
    CrossbarPort,
    CrossbarRegister,
)
from celosia.hdl.crossbar.emulator import cell_access
from celosia.hdl.crossbar.level_queue import LevelQueue
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.programmer import cell_result, region_command
from celosia.hdl.crossbar.result_queue import ResultQueue
from celosia.hdl.crossbar.settings_store import SETTING_WRITE
from celosia.hdl.npu.interfaces import HostRequest
from celosia.hdl.stream import StreamFifo

__all__ = ["CrossbarWindow"]

_WORD_SHIFT = ceil_log2(WORD_BYTES)
_LINE = (CrossbarPort.REGISTERS << CROSSBAR_PORT_SHIFT | CrossbarRegister.LINE) >> _WORD_SHIFT


class CrossbarWindow(wiring.Component):
    """Serves accesses to region CROSSBAR one at a time, as `celosia.golden.memory_map` has them.

    A write is taken in its cycle, to CELL a few cycles later; the answer to a read is offered in
    the next cycle, of RESULT a cycle later, of STATUS three. Nothing waits for commands or
    products: what would have to is lost. Reset forgets commands, targets and results that wait, the
    region, and abort.

    Members
    -------
    request : In(stream.Signature(HostRequest))
        Accesses; of the address, only the bits below the region's number matter.
    response : Out(stream.Signature(32))
        A word for each read.
    commands, targets, results, settings, corrections, abort
        Of the controller.
    cells : Out(stream.Signature(cell_access(config)))
        The emulator's back door.
    busy, tripped, interlock : In(1)
        Of the controller: the first one without what waits here.
    status_address, status_word
        Its status port.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "request": In(stream.Signature(HostRequest)),
                "response": Out(stream.Signature(WORD_BITS)),
                "commands": Out(stream.Signature(region_command(config))),
                "targets": Out(stream.Signature(config.cell_bits)),
                "results": In(stream.Signature(cell_result(config))),
                "settings": Out(stream.Signature(SETTING_WRITE)),
                "corrections": Out(stream.Signature(correction_write(config))),
                "cells": Out(stream.Signature(cell_access(config))),
                "abort": Out(1),
                "busy": In(1),
                "tripped": In(1),
                "interlock": In(1),
                "status_address": Out(status_address_bits(config)),
                "status_word": In(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, access = self._config, self.request.payload
        m.submodules.commands_queue = commands = StreamFifo(
            shape=self.commands.payload.shape(), depth=1
        )
        m.submodules.levels = levels = LevelQueue(bits=config.cell_bits, depth=CROSSBAR_QUEUE)
        m.submodules.kept = kept = ResultQueue(
            shape=self.results.payload.shape(), depth=CROSSBAR_QUEUE
        )
        wiring.connect(m, commands.o, wiring.flipped(self.commands))
        wiring.connect(m, levels.levels, wiring.flipped(self.targets))
        wiring.connect(m, wiring.flipped(self.results), kept.results)
        idle, lost = Signal(), Signal()
        self._kept = Signal(name="kept")  # what was offered stays offered until it is taken
        m.d.comb += idle.eq(~self.busy & ~commands.o.valid)

        port = access.address[CROSSBAR_PORT_SHIFT:REGION_SHIFT]
        words = access.address[_WORD_SHIFT:CROSSBAR_PORT_SHIFT]
        region = Signal(self.commands.payload.shape())
        answer, part = Signal(WORD_BITS), Signal(range(RESULT_WORDS))
        number = words[ceil_log2(RESULT_WORDS) :]
        m.d.comb += [
            kept.place.eq(number),
            kept.count.eq(access.data),
            levels.place.eq(words),
            levels.level.eq(access.data),
            levels.count.eq(access.data),
        ]
        looking = Signal(range(STATUS_LATENCY + 1))
        m.d.comb += self.response.payload.eq(answer)
        with m.FSM(name="window"):
            with m.State("ACCESS"):
                with m.If(self.request.valid & access.write):
                    m.d.comb += self.request.ready.eq(1)
                    with m.Switch(port):
                        with m.Case(*_windows(CrossbarPort.CORRECTION, CrossbarPort.STATUS)):
                            self._correct(m)
                            self._offer(m, self.corrections, idle, lost)
                        with m.Case(CrossbarPort.CELL):
                            self._offer(m, self.cells, idle, lost)
                        with m.Case(CrossbarPort.REGISTERS):
                            self._write_register(m, words, region, commands.i, lost)
                            self._pass_on(m, words, levels, kept, lost)
                        with m.Case(CrossbarPort.SETTING):
                            m.d.comb += [
                                self.settings.payload.address.eq(words),
                                self.settings.payload.value.eq(access.data),
                            ]
                            self._offer(m, self.settings, idle, lost)
                        with m.Case(CrossbarPort.TARGET):
                            m.d.comb += levels.write.eq(1)
                with m.Elif(self.request.valid):
                    m.d.comb += self.request.ready.eq(1)
                    m.d.sync += [answer.eq(0), looking.eq(STATUS_LATENCY)]
                    m.next = "ANSWER"
                    with m.Switch(port):
                        with m.Case(*_windows(CrossbarPort.STATUS, CrossbarPort.CELL)):
                            m.d.sync += self.status_address.eq(access.address[_WORD_SHIFT:])
                            m.next = "LOOK"
                        with m.Case(CrossbarPort.REGISTERS):
                            with m.If(words == CrossbarRegister.STATE // WORD_BYTES):
                                m.d.sync += answer.eq(
                                    Cat(
                                        *(idle, self.tripped, self.interlock, self.abort, lost),
                                        Const(0, 11),
                                        kept.waiting,
                                    )
                                )
                        with m.Case(CrossbarPort.RESULT):
                            m.d.sync += part.eq(words)
                            with m.If(number < kept.waiting):
                                m.next = "RESULT"
            with m.State("LOOK"):
                m.d.sync += [looking.eq(looking - 1), answer.eq(self.status_word)]
                with m.If(looking == 0):
                    m.next = "ANSWER"
            with m.State("RESULT"):
                m.d.sync += answer.eq(self._result_word(kept.result, part))
                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.response.valid.eq(1)
                with m.If(self.response.ready):
                    m.next = "ACCESS"
        self._cells(m, words)
        return m

    def _offer(self, m: Module, port: stream.Interface, idle: Signal, lost: Signal) -> None:
        """Offer what was written, unless a command or a product is under way."""
        offering, kept = Signal(), self._kept
        m.d.comb += [
            offering.eq(idle | kept),
            port.valid.eq(offering),
            self.request.ready.eq(port.ready | ~offering),
        ]
        m.d.sync += kept.eq(offering & ~port.ready)
        with m.If(~offering):
            m.d.sync += lost.eq(1)

    def _correct(self, m: Module) -> None:
        access, entry = self.request.payload, self.corrections.payload
        place = access.address[_WORD_SHIFT:]
        m.d.comb += [
            entry.field.eq(place[CORRECTION_FIELD_SHIFT:]),
            entry.tile.eq(place[CORRECTION_TILE_SHIFT:]),
            entry.place.eq(place),
            entry.value.eq(access.data),
        ]

    def _write_register(
        self, m: Module, words: object, region: Signal, commands: stream.Interface, lost: Signal
    ) -> None:
        value = self.request.payload.data
        m.d.comb += [
            commands.payload.eq(region),
            commands.payload.command.eq(value[:4]),
            commands.payload.tag.eq(value[8:16]),
            commands.payload.tile.eq(value[16:]),
        ]
        with m.Switch(words):
            with m.Case(CrossbarRegister.CONTROL // WORD_BYTES):
                m.d.sync += self.abort.eq(value[ceil_log2(CrossbarControl.ABORT)])
                with m.If(value[ceil_log2(CrossbarControl.FORGET)]):
                    m.d.sync += lost.eq(0)
            with m.Case(CrossbarRegister.REGION_ROWS // WORD_BYTES):
                m.d.sync += [region.first_row.eq(value[:16]), region.rows.eq(value[16:])]
            with m.Case(CrossbarRegister.REGION_COLUMNS // WORD_BYTES):
                m.d.sync += [region.first_column.eq(value[:16]), region.columns.eq(value[16:])]
            with m.Case(CrossbarRegister.COMMAND // WORD_BYTES):
                m.d.comb += commands.valid.eq(1)
                with m.If(~commands.ready):
                    m.d.sync += lost.eq(1)

    @staticmethod
    def _pass_on(
        m: Module, words: object, levels: LevelQueue, kept: ResultQueue, lost: Signal
    ) -> None:
        """Levels that wait from now on, and results that needn't any more."""
        with m.Switch(words):
            with m.Case(CrossbarRegister.LEVELS // WORD_BYTES):
                m.d.comb += levels.commit.eq(1)
                with m.If(levels.full):
                    m.d.sync += lost.eq(1)
            with m.Case(CrossbarRegister.DROP // WORD_BYTES):
                m.d.comb += kept.drop.eq(1)

    def _cells(self, m: Module, words: object) -> None:
        """The back door, at a column of a row."""
        config, access, cells = self._config, self.request.payload, self.cells
        line = Signal(range(max(2, config.tiles * config.rows)))
        m.d.comb += [
            cells.payload.write.eq(1),
            cells.payload.line.eq(line),
            cells.payload.column.eq(words),
            cells.payload.value.as_value().eq(access.data),
        ]
        with m.If(self.request.valid & self.request.ready & access.write):
            with m.If(access.address[_WORD_SHIFT:REGION_SHIFT] == _LINE):
                m.d.sync += line.eq(access.data)

    @staticmethod
    def _result_word(result: object, part: Signal) -> Signal:
        """A word of a result."""
        place = Cat(
            *(_wide(result.row, 8), _wide(result.column, 11), _wide(result.result, 4)),
            *(_wide(result.command, 4), _wide(result.last, 4), Const(1, 1)),
        )
        read = Cat(_wide(result.tag, 8), result.code)
        pulses = Cat(_wide(result.pulses, 16), result.set_pulses)
        words = (_wide(word, WORD_BITS) for word in (place, read, pulses, Const(0, 1)))
        return Cat(*words).word_select(part, WORD_BITS)


def _windows(first: CrossbarPort, end: CrossbarPort) -> range:
    """Numbers of the windows that a port takes."""
    return range(first, end)


def _wide(value: object, bits: int) -> Cat:
    return Cat(value, Const(0, bits - len(value))) if len(value) < bits else Cat(value)
