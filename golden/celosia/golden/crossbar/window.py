"""The host's window on the crossbar: what accesses to its region do, and what they answer."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import TARGETED
from celosia.golden.crossbar.controller import Answer, Controller, RegionCommand
from celosia.golden.crossbar.corrections import WIDTHS, CorrectionField, CorrectionWrite
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.settings import ADDRESS_BITS, settings_from
from celosia.golden.crossbar.telemetry import status_regions
from celosia.golden.errors import CelosiaError
from celosia.golden.memory_map import (
    CORRECTION_FIELD_SHIFT,
    CORRECTION_TILE_SHIFT,
    CROSSBAR_PORT_SHIFT,
    REGION_SHIFT,
    RESULT_WORDS,
    WORD_BYTES,
    CrossbarControl,
    CrossbarPort,
    CrossbarRegister,
    CrossbarState,
)

_PLACES = 1 << CORRECTION_TILE_SHIFT
_TILES = 1 << (CORRECTION_FIELD_SHIFT - CORRECTION_TILE_SHIFT)


class CrossbarWindow:
    """Answers accesses to region CROSSBAR as `celosia.hdl.crossbar.window.CrossbarWindow` does.

    A command is over as soon as it and its targets are written; what an abort cuts depends on the
    cycle in which it comes, so here it cuts nothing. Queues have no end, so that nothing is lost.

    Args:
        controller: what executes the commands.
        cells: the emulator's twin behind it, for the back door; None on another front end.
    """

    def __init__(self, controller: Controller, cells: EmulatorTwin | None = None) -> None:
        self._controller = controller
        self._config = controller.config
        self._cells = cells
        self._settings: dict[int, int] = dict(controller.settings.writes())
        self._region = RegionCommand(0)
        self._waiting: deque[RegionCommand] = deque()
        self._written: dict[int, int] = {}
        self._targets: deque[int] = deque()
        self._results: deque[tuple[int, ...]] = deque()
        self._line = 0
        self._abort = False

    def write(self, address: int, value: int) -> None:
        """Write a word at a byte address; only the bits below the region's number matter.

        Raises:
            CelosiaError: a setting can't have the value, or there are no cells behind the door.
        """
        port, word = _place(address)
        if port < CrossbarPort.STATUS:
            self._correct(word + (port << (CROSSBAR_PORT_SHIFT - 2)), value)
        elif port == CrossbarPort.CELL:
            self._write_cell(word, value)
        elif port == CrossbarPort.REGISTERS:
            self._write_register(word * WORD_BYTES, value)
        elif port == CrossbarPort.SETTING:
            self._settings[word % (1 << ADDRESS_BITS)] = value
            self._controller.settings = settings_from(self._settings)
        elif port == CrossbarPort.TARGET:
            self._written[word] = value % self._config.levels

    def read(self, address: int) -> int:
        """The word at a byte address."""
        port, word = _place(address)
        if CrossbarPort.STATUS <= port < CrossbarPort.CELL:
            return self._status(word + ((port - CrossbarPort.STATUS) << (CROSSBAR_PORT_SHIFT - 2)))
        if port == CrossbarPort.REGISTERS and word * WORD_BYTES == CrossbarRegister.STATE:
            state = CrossbarState.INTERLOCK | (0 if self._waiting else CrossbarState.IDLE)
            state |= CrossbarState.ABORT if self._abort else 0
            return int(state) | len(self._results) << 16
        if port == CrossbarPort.RESULT:
            number, part = divmod(word, RESULT_WORDS)
            return self._results[number][part] if number < len(self._results) else 0
        return 0

    def _correct(self, word: int, value: int) -> None:
        number, rest = divmod(word, _TILES * _PLACES)
        if number not in list(CorrectionField):
            return
        field = CorrectionField(number)
        tile, place = divmod(rest, _PLACES)
        value &= (1 << WIDTHS[field]) - 1
        self._controller.write(CorrectionWrite(field, tile, place, value))

    def _write_cell(self, column: int, value: int) -> None:
        cells = self._cells
        if cells is None:
            raise CelosiaError("the crossbar's cells must be the emulator's to be written directly")
        if column < self._config.columns:
            cells.write_cell(self._line * self._config.columns + column, value)

    def _write_register(self, register: int, value: int) -> None:
        low, high = value & 0xFFFF, value >> 16
        match register:
            case CrossbarRegister.CONTROL:
                self._abort = bool(value & CrossbarControl.ABORT)
            case CrossbarRegister.LINE:
                self._line = value
            case CrossbarRegister.LEVELS:
                self._targets += (self._written[number] for number in range(value))
                self._execute()
            case CrossbarRegister.DROP:
                for _ in range(value):
                    self._results.popleft()
            case CrossbarRegister.REGION_ROWS:
                self._region = self._region._replace(first_row=low, rows=high)
            case CrossbarRegister.REGION_COLUMNS:
                self._region = self._region._replace(first_column=low, columns=high)
            case CrossbarRegister.COMMAND:
                self._waiting.append(
                    self._region._replace(command=low & 15, tag=low >> 8, tile=high & 0x3FF)
                )
                self._execute()

    def _execute(self) -> None:
        """Commands whose targets are there."""
        while self._waiting:
            asked = self._waiting[0]
            levels = None
            if asked.command in TARGETED and self._controller.accepts(asked):
                if len(self._targets) < asked.rows * asked.columns:
                    return
                count = asked.rows * asked.columns
                levels = np.array([self._targets.popleft() for _ in range(count)], np.int64)
            self._waiting.popleft()
            answers = self._controller.execute(asked, levels)
            for number, answer in enumerate(answers):
                last = number == len(answers) - 1
                self._results.append(result_words(asked, answer, last))

    def _status(self, address: int) -> int:
        for region, places in status_regions(self._config).items():
            if address in places:
                return int(self._controller.words()[region][address - places.start])
        return 0


def result_words(asked: RegionCommand, answer: Answer, last: bool) -> tuple[int, ...]:
    """A result as the host reads it."""
    place = answer.row | answer.column << 8 | answer.result << 19
    return (
        place | asked.command << 23 | last << 27 | 1 << 31,
        asked.tag | answer.code << 8,
        answer.pulses | answer.set_pulses << 16,
        0,
    )


def answers_of(words: NDArray[np.uint32]) -> list[Answer]:
    """The results in words that the host has read from RESULT; those that are none are left out."""
    found = np.asarray(words, np.int64).reshape(-1, RESULT_WORDS)
    return [
        Answer(
            row=place & 0xFF,
            column=place >> 8 & 0x7FF,
            result=place >> 19 & 15,
            code=read >> 8 & 0xFFF,
            pulses=pulses & 0x1FFF,
            set_pulses=pulses >> 16 & 0x1FFF,
        )
        for place, read, pulses, _ in found.tolist()
        if place >> 31
    ]


def _place(address: int) -> tuple[int, int]:
    """Window and word of an address."""
    inside = address % (1 << REGION_SHIFT)
    port, offset = divmod(inside, 1 << CROSSBAR_PORT_SHIFT)
    return port, offset // WORD_BYTES
