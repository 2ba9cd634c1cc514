"""The programming commands of the golden controller: worked cells, and rules on many toy cells."""

import dataclasses

import numpy as np
import pytest
from support.docs_model import model_of_the_docs
from support.toy_front_end import ToyFrontEnd

from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode
from celosia.golden.crossbar.programming import Programmer, region
from celosia.golden.crossbar.settings import LevelWindow, Ramp, RampSettings, Setting, Settings
from celosia.golden.errors import CelosiaError

CONFIG = CrossbarConfig(rows=16, outputs=2, cell_bits=2, adcs=4)
WINDOWS = (
    LevelWindow(read_low=0, read_high=40, write_low=0, write_high=30),
    LevelWindow(read_low=60, read_high=100, write_low=70, write_high=90),
    LevelWindow(read_low=120, read_high=160, write_low=130, write_high=150),
    LevelWindow(read_low=190, read_high=255, write_low=200, write_high=255),
)
RAMPS = {
    Ramp.FORM: RampSettings(
        word_line_start=300, word_line_stop=340, word_line_step=20,
        line_start=420, line_stop=560, line_step=20, width=64,
    ),
    Ramp.SET: RampSettings(
        word_line_start=300, word_line_stop=500, word_line_step=8,
        line_start=480, line_stop=480, width=64,
    ),
    Ramp.RESET: RampSettings(
        word_line_start=304, word_line_stop=520, word_line_step=8,
        line_start=520, line_stop=520, width=64,
    ),
    Ramp.SET_FINE: RampSettings(
        word_line_start=320, word_line_stop=400, word_line_step=20,
        line_start=300, line_stop=320, line_step=2, width=64, line_first=True,
    ),
    Ramp.RESET_FINE: RampSettings(
        word_line_start=320, word_line_stop=400, word_line_step=20,
        line_start=300, line_stop=320, line_step=2, width=64, line_first=True,
    ),
}  # fmt: skip
SETTINGS = Settings(
    scalars={Setting.MAXIMUM_PULSES: 80, Setting.MAXIMUM_FLIPS: 9, Setting.END_PULSES: 2},
    ramps=RAMPS,
    windows=WINDOWS,
)


def having(settings=SETTINGS, *, ramps=None, **scalars):
    """The settings with some changed."""
    changed = {Setting[name.upper()]: value for name, value in scalars.items()}
    return dataclasses.replace(
        settings,
        scalars={**settings.scalars, **changed},
        ramps={**settings.ramps, **(ramps or {})},
    )


class Script:
    """A front end of one cell that gives the codes of a list, and logs."""

    def __init__(self, *codes):
        self.codes = list(codes)
        self.log = []

    def read(self, tile, rows, columns):
        assert len(rows) == 1
        return np.array([self.codes.pop(0)])

    def pulse(self, tile, rows, columns, mode, word_line, line, width):
        self.log.append((BiasMode(mode).name, int(word_line[0]), int(line[0])))


def run(script, command, settings, *levels):
    programmer = Programmer(script, CONFIG, settings)
    outcome = getattr(programmer, command)(0, [3], [2], *([level] for level in levels))
    assert not script.codes
    return outcome


def test_a_cell_is_stepped_into_its_window_and_confirmed():
    script = Script(20, 50, 65, 72, 61)
    outcome = run(script, "program", SETTINGS, 1)
    assert script.log == [("SET", 300, 480), ("SET", 308, 480), ("SET", 316, 480)]
    assert outcome.result[0] == Result.CONVERGED
    # 61 confirms: in the read window, though not in the write window.
    assert (outcome.code[0], outcome.pulses[0], outcome.set_pulses[0]) == (61, 3, 3)
    assert outcome.reads[0] == 5


def test_a_failed_confirmation_goes_on():
    script = Script(72, 59, 70, 100)
    outcome = run(script, "program", SETTINGS, 1)
    assert script.log == [("SET", 300, 480)]
    assert outcome.result[0] == Result.CONVERGED


def test_a_change_of_direction_starts_the_ramp_again():
    script = Script(0, 0, 200, 200, 0, 80, 80)
    outcome = run(script, "program", SETTINGS, 1)
    assert [entry[:2] for entry in script.log] == [
        ("SET", 300), ("SET", 308), ("RESET", 304), ("RESET", 312), ("SET", 300),
    ]  # fmt: skip
    assert (outcome.pulses[0], outcome.set_pulses[0]) == (5, 3)


def test_coarse_then_fine():
    # Far below: word-line steps. Within 16 codes: the word line stays, the line rises. An
    # overshoot: the RESET line rises, with the RESET ramp's own word line.
    settings = having(scheme=Scheme.COARSE_FINE)
    script = Script(0, 40, 55, 60, 95, 91, 80, 80)
    outcome = run(script, "program", settings, 1)
    assert script.log == [
        ("SET", 300, 480), ("SET", 308, 480), ("SET", 308, 300), ("SET", 308, 302),
        ("RESET", 320, 300), ("RESET", 320, 302),
    ]  # fmt: skip
    assert outcome.result[0] == Result.CONVERGED


def test_a_fine_ramp_that_is_at_its_end_raises_the_word_line():
    settings = having(
        scheme=Scheme.COARSE_FINE,
        ramps={
            Ramp.SET_FINE: RampSettings(
                word_line_start=310, word_line_stop=340, word_line_step=20,
                line_start=300, line_stop=304, line_step=3, width=9, line_first=True,
            )
        },
    )  # fmt: skip
    script = Script(*[60] * 7)
    outcome = run(script, "program", settings, 1)
    steps = [(310, 300), (310, 303), (330, 300), (330, 303), (330, 303), (330, 303)]
    assert script.log == [("SET", *step) for step in steps]
    assert outcome.result[0] == Result.STUCK_LOW


def test_the_word_line_goes_first_unless_told_otherwise():
    ramp = RampSettings(
        word_line_start=10, word_line_stop=20, word_line_step=10,
        line_start=5, line_stop=6, line_step=1, width=9,
    )  # fmt: skip
    script = Script(*[255] * 7)
    outcome = run(script, "program", having(ramps={Ramp.RESET: ramp}), 0)
    steps = [(10, 5), (20, 5), (10, 6), (20, 6), (20, 6), (20, 6)]
    assert script.log == [("RESET", *step) for step in steps]
    assert outcome.result[0] == Result.STUCK_HIGH


@pytest.mark.parametrize(
    ("codes", "changes", "result", "pulses"),
    [
        ([0] * 6, {"maximum_pulses": 5}, Result.TIMEOUT, 5),
        ([0, 255] * 2 + [0], {"maximum_flips": 3}, Result.OSCILLATING, 4),
        ([0], {"maximum_pulses": 0}, Result.TIMEOUT, 0),
        ([80], {"confirms": 0}, Result.CONVERGED, 0),
        (
            [0, 0],
            {"ramps": {Ramp.SET: RampSettings(width=3)}, "end_pulses": 0},
            Result.STUCK_LOW,
            1,
        ),
    ],
)
def test_ends(codes, changes, result, pulses):
    outcome = run(Script(*codes), "program", having(**changes), 1)
    assert (outcome.result[0], outcome.pulses[0]) == (result, pulses)


@pytest.mark.parametrize(
    ("ramp", "pulses"),
    [
        (RampSettings(word_line_start=701, width=1), 0),
        (RampSettings(word_line_start=699, word_line_stop=900, word_line_step=1, width=1), 2),
        (RampSettings(line_start=799, line_stop=900, line_step=2, width=1), 1),
        (RampSettings(width=0), 0),
    ],
)
def test_no_pulse_passes_a_limit(ramp, pulses):
    script = Script(*[0] * (pulses + 1))
    outcome = run(script, "program", having(ramps={Ramp.SET: ramp}), 1)
    assert outcome.result[0] == Result.ABORTED
    assert outcome.pulses[0] == len(script.log) == pulses


def test_no_pulse_is_longer_than_the_limit():
    config = dataclasses.replace(CONFIG, max_width=10)
    for width, result in ((10, Result.TIMEOUT), (11, Result.ABORTED)):
        settings = having(ramps={Ramp.SET: RampSettings(width=width)}, maximum_pulses=1)
        script = Script(*[0] * (2 if width == 10 else 1))
        outcome = Programmer(script, config, settings).program(0, [0], [0], [1])
        assert outcome.result[0] == result


def test_a_read_is_a_sum_of_conversions():
    # Sums of four are compared, so a mean of 69.75 is below the window, and is reported as 70.
    settings = having(read_shift=2, confirms=0)
    script = Script(70, 70, 70, 69, 70, 70, 70, 70)
    outcome = run(script, "program", settings, 1)
    assert len(script.log) == 1
    assert (outcome.code[0], outcome.reads[0]) == (70, 8)
    assert run(Script(70, 70, 69, 69), "read", settings).code[0] == 70
    assert run(Script(70, 69, 69, 69), "read", settings).code[0] == 69


def test_forming_then_a_reset_in_any_case():
    script = Script(0, 0, 5, 130, 20, 20)
    outcome = run(script, "form", SETTINGS)
    assert script.log == [
        ("FORM", 300, 420), ("FORM", 320, 420), ("FORM", 340, 420), ("RESET", 304, 520),
    ]  # fmt: skip
    assert outcome.result[0] == Result.CONVERGED
    assert (outcome.pulses[0], outcome.set_pulses[0]) == (4, 3)


def test_a_cell_that_is_not_formed_at_the_end_of_the_ramp():
    settings = having(
        ramps={Ramp.FORM: RampSettings(line_start=1, line_stop=2, line_step=1, width=1)}
    )
    script = Script(*[127] * 5)
    outcome = run(script, "form", settings)
    assert [line for _, _, line in script.log] == [1, 2, 2, 2]
    assert outcome.result[0] == Result.UNFORMED


def test_scrub_leaves_what_is_in_the_read_window():
    script = Script(61)
    outcome = run(script, "scrub", SETTINGS, 1)
    assert (outcome.result[0], outcome.pulses[0]) == (Result.CONVERGED, 0)
    script = Script(59, 65, 75, 75)
    assert run(script, "scrub", SETTINGS, 1).pulses[0] == 2


def test_bist_names_the_first_level_that_fails():
    stuck = having(end_pulses=0, ramps={Ramp.SET: RampSettings(width=1)})
    outcome = run(Script(0, 0, 0, 0), "bist", stuck)
    assert outcome.result[0] == Result.STUCK_LOW
    assert (outcome.pulses[0], outcome.set_pulses[0], outcome.reads[0]) == (1, 1, 4)
    outcome = run(Script(*[250] * 2, *[250] * 2), "bist", having(
        end_pulses=0, ramps={Ramp.RESET: RampSettings(width=1)}
    ))  # fmt: skip
    assert outcome.result[0] == Result.STUCK_HIGH


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("command", ["form", "program", "scrub", "read", "bist"])
def test_cells_do_not_depend_on_each_other(scheme, command):
    seed = 11
    settings = having(scheme=scheme, read_shift=1)
    rows, columns = region(3, 5, 2, 11)
    levels = np.random.default_rng(seed).integers(0, CONFIG.levels, len(rows))
    formed = command != "form"
    together = ToyFrontEnd(CONFIG.rows, CONFIG.columns, seed=seed, formed=formed)
    alone = ToyFrontEnd(CONFIG.rows, CONFIG.columns, seed=seed, formed=formed)
    whole = command in ("program", "scrub")

    def called(front_end, chosen):
        method = getattr(Programmer(front_end, CONFIG, settings), command)
        more = [levels[chosen]] if whole else []
        return method(0, rows[chosen], columns[chosen], *more)

    at_once = called(together, np.arange(len(rows)))
    one_by_one = [called(alone, np.array([k])) for k in range(len(rows))]
    for field in dataclasses.fields(at_once):
        singles = [getattr(outcome, field.name)[0] for outcome in one_by_one]
        assert getattr(at_once, field.name).tolist() == singles, field.name
    assert together.log == alone.log
    if command != "read":
        # Not every cell ends alike, so the comparison says something.
        assert len(set(at_once.result.tolist())) >= 2
        assert np.mean(at_once.result == Result.CONVERGED) > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, [0], [0], [0]), "tile must be from 0 to 0, not 1"),
        ((0, [0, 16], [0, 0], [0, 0]), "rows must be from 0 to 15, not from 0 to 16"),
        ((0, [0], [-1], [0]), "columns must be from 0 to 23, not from -1 to -1"),
        ((0, [0], [0], [4]), "levels must be from 0 to 3, not from 4 to 4"),
        ((0, [0], [0, 1], [0]), "columns must be 1 values, one for each cell, not 2"),
        ((0, [0.5], [0], [0]), "rows must be a list of integers, not [0.5]"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(CelosiaError) as caught:
        Programmer(Script(), CONFIG, SETTINGS).program(*arguments)
    assert str(caught.value) == message


def test_windows_for_every_level_must_be_there():
    settings = dataclasses.replace(SETTINGS, windows=WINDOWS[:3])
    with pytest.raises(CelosiaError, match="settings must hold windows for 4 levels, not 3"):
        Programmer(Script(), CONFIG, settings).program(0, [0], [0], [0])


def test_the_model_of_the_docs_can_be_programmed():
    names = {}
    exec(model_of_the_docs(), names)
    model = names["Tenths"](CONFIG.rows, CONFIG.columns, seed=1)
    rows, columns = region(0, CONFIG.rows, 0, CONFIG.columns)
    outcome = Programmer(model, CONFIG, SETTINGS).program(0, rows, columns, rows % CONFIG.levels)
    assert np.mean(outcome.result == Result.CONVERGED) > 0.95
