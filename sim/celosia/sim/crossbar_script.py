"""Accesses to the crossbar in a host script: settings, tables, commands, results, status."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.controller import RegionCommand
from celosia.golden.crossbar.corrections import CorrectionWrite
from celosia.golden.crossbar.settings import Settings
from celosia.golden.crossbar.window import CrossbarWindow
from celosia.golden.memory_map import (
    CORRECTION_FIELD_SHIFT,
    CORRECTION_TILE_SHIFT,
    CROSSBAR_PORT_SHIFT,
    REGION_SHIFT,
    RESULT_WORDS,
    WORD_BYTES,
    CrossbarPort,
    CrossbarRegister,
    CrossbarState,
    Region,
)
from celosia.sim.host_script import AccessKind, HostScript


def crossbar_address(port: CrossbarPort, word: int = 0) -> int:
    """Byte address of a word of a window."""
    return (Region.CROSSBAR << REGION_SHIFT | port << CROSSBAR_PORT_SHIFT) + word * WORD_BYTES


class CrossbarScript:
    """Appends accesses to region CROSSBAR to a script."""

    def __init__(self, script: HostScript) -> None:
        self.script = script

    def settings(self, settings: Settings) -> None:
        """Write all settings."""
        for address, value in settings.writes():
            self.script.write_words(crossbar_address(CrossbarPort.SETTING, address), [value])

    def corrections(self, entries: Iterable[CorrectionWrite]) -> None:
        """Write entries of the tables."""
        for entry in entries:
            place = (
                entry.field << CORRECTION_FIELD_SHIFT
                | entry.tile << CORRECTION_TILE_SHIFT
                | entry.place
            )
            address = crossbar_address(CrossbarPort.CORRECTION, place)
            self.script.write_words(address, [entry.value])

    def cells(self, conductance: NDArray[np.int64]) -> None:
        """Write the cells of the first tiles through the back door [tiles, rows, columns]."""
        for line, row in enumerate(conductance.reshape(-1, conductance.shape[-1])):
            self._register(CrossbarRegister.LINE, line)
            self.script.write_words(crossbar_address(CrossbarPort.CELL), row)

    def command(self, command: RegionCommand, levels: Sequence[int] = ()) -> None:
        """Send a command, with the levels of its cells if it takes some."""
        self._register(CrossbarRegister.REGION_ROWS, command.first_row | command.rows << 16)
        self._register(
            CrossbarRegister.REGION_COLUMNS, command.first_column | command.columns << 16
        )
        self._register(
            CrossbarRegister.COMMAND, command.command | command.tag << 8 | command.tile << 16
        )
        if len(levels):
            self.script.write_words(crossbar_address(CrossbarPort.TARGET), levels)
            self._register(CrossbarRegister.LEVELS, len(levels))

    def results(self, count: int, limit: int) -> slice:
        """Wait for the commands' end, at most `limit` cycles, then take as many results."""
        state = crossbar_address(CrossbarPort.REGISTERS, CrossbarRegister.STATE // WORD_BYTES)
        self.script.poll(CrossbarState.IDLE, limit, state)
        place = self.script.read_words(crossbar_address(CrossbarPort.RESULT), RESULT_WORDS * count)
        self._register(CrossbarRegister.DROP, count)
        return place

    def status(self, places: range) -> slice:
        """Read words of the status port."""
        return self.script.read_words(
            crossbar_address(CrossbarPort.STATUS, places.start), len(places)
        )

    def _register(self, register: CrossbarRegister, value: int) -> None:
        address = crossbar_address(CrossbarPort.REGISTERS, register // WORD_BYTES)
        self.script.write_words(address, [value])


def play_on_twin(script: HostScript, window: CrossbarWindow) -> NDArray[np.uint32]:
    """The answers of a script that has accesses to region CROSSBAR only, from the golden window."""
    answers: list[int] = []
    for access in script.accesses():
        if access.kind is AccessKind.WRITE:
            for number, word in enumerate(access.words.tolist()):
                window.write(access.address + number * WORD_BYTES, word)
        elif access.kind is AccessKind.READ:
            answers += (window.read(access.address + k * WORD_BYTES) for k in range(access.count))
    return np.array(answers, np.uint32)
