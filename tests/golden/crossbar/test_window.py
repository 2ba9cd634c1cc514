"""The golden window of the crossbar, and settings as they are sent."""

import numpy as np
import pytest

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.controller import Answer, Controller
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulation import IDEAL
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.recipe import settings_for
from celosia.golden.crossbar.settings import Setting, Settings, settings_from
from celosia.golden.crossbar.telemetry import Counter
from celosia.golden.crossbar.window import CrossbarWindow, answers_of
from celosia.golden.errors import CelosiaError
from celosia.golden.memory_map import (
    CROSSBAR_PORT_SHIFT,
    RESULT_WORDS,
    CrossbarControl,
    CrossbarPort,
    CrossbarRegister,
    CrossbarState,
)

SIZES = CrossbarConfig(rows=8, outputs=2, spares=0)


def at(port, word=0):
    return (port << CROSSBAR_PORT_SHIFT) + 4 * word


def register(which):
    return at(CrossbarPort.REGISTERS, which // 4)


def command(window, number, rows, columns, tag=0):
    window.write(register(CrossbarRegister.REGION_ROWS), rows[0] | rows[1] << 16)
    window.write(register(CrossbarRegister.REGION_COLUMNS), columns[0] | columns[1] << 16)
    window.write(register(CrossbarRegister.COMMAND), number | tag << 8)


def results(window, count):
    words = range(RESULT_WORDS * count)
    return np.array([window.read(at(CrossbarPort.RESULT, word)) for word in words], np.uint32)


def levels(window, values):
    for number, level in enumerate(values):
        window.write(at(CrossbarPort.TARGET, number), level)
    window.write(register(CrossbarRegister.LEVELS), len(values))


@pytest.fixture
def window():
    twin = EmulatorTwin(SIZES, IDEAL)
    controller = Controller(twin, SIZES, Settings())
    window = CrossbarWindow(controller, twin)
    for address, value in settings_for(load_device("ideal"), SIZES, 0).writes():
        window.write(at(CrossbarPort.SETTING, address), value)
    return window


def test_levels_come_behind_their_command(window):
    command(window, Command.PROGRAM, (1, 2), (3, 2), tag=9)
    idle = CrossbarState.IDLE | CrossbarState.INTERLOCK
    for some in ([0, 7], [15]):
        levels(window, some)
        assert window.read(register(CrossbarRegister.STATE)) == CrossbarState.INTERLOCK
    levels(window, [3])
    assert window.read(register(CrossbarRegister.STATE)) == idle | 4 << 16
    words = results(window, 5)  # one more than there are
    assert [word & 0xFF for word in words[1::4]] == [9, 9, 9, 9, 0]
    assert not words[16:].any()
    assert np.array_equal(results(window, 5), words)
    window.write(register(CrossbarRegister.DROP), 3)
    assert np.array_equal(results(window, 1), words[12:16])
    assert window.read(register(CrossbarRegister.STATE)) == idle | 1 << 16
    answers = answers_of(words)
    assert [(answer.row, answer.column) for answer in answers] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert {answer.result for answer in answers} == {Result.CONVERGED}
    assert [answer.code for answer in answers] == [17 * level for level in (0, 7, 15, 3)]
    assert answers[0].pulses == 0 < answers[1].pulses == answers[1].set_pulses
    pulses = sum(answer.pulses for answer in answers)
    assert window.read(at(CrossbarPort.STATUS, Counter.SET_PULSES)) == pulses


def test_cells_past_all_physics(window):
    for line in (2, 3):
        window.write(register(CrossbarRegister.LINE), line)
        for column in range(9):  # one more than there are
            window.write(at(CrossbarPort.CELL, column), 64 * (column + 8 * (line - 2)))
    command(window, Command.READ, (2, 2), (0, 2))
    codes = [answer.code for answer in answers_of(results(window, 4))]
    assert codes == [0, 17, 17 * 8, 17 * 9]


def test_what_cannot_be_is_refused_and_what_is_not_there_reads_as_zero(window):
    command(window, Command.PROGRAM, (7, 2), (0, 1))
    assert answers_of(results(window, 1)) == [Answer(7, 0, Result.ABORTED)]
    window.write(register(CrossbarRegister.CONTROL), CrossbarControl.ABORT)
    assert window.read(register(CrossbarRegister.STATE)) & CrossbarState.ABORT
    for address in (register(CrossbarRegister.COMMAND), at(15), at(CrossbarPort.STATUS, 1 << 20)):
        window.write(at(15), 1)
        assert window.read(address) == 0


def test_there_are_no_cells_to_write_on_physics():
    physics = Physics(SIZES, load_device("ideal"), 1)
    window = CrossbarWindow(Controller(physics, SIZES, Settings()))
    with pytest.raises(CelosiaError, match=r"must be the emulator's to be written directly$"):
        window.write(at(CrossbarPort.CELL), 1)


@pytest.mark.parametrize("device", ["ideal", "hfox-neurram"])
def test_settings_survive_being_sent(device):
    config = CrossbarConfig(max_line=1023, max_word_line=1023)
    settings = settings_for(load_device(device), config, 0)
    assert settings_from(dict(settings.writes())) == settings
    assert settings_from({}).scalars == Settings().scalars


def test_settings_that_cannot_be():
    with pytest.raises(CelosiaError, match=r"^read_shift must be an integer from 0 to 4, not 7$"):
        settings_from({Setting.READ_SHIFT: 7})
