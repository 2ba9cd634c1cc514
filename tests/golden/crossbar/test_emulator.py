"""The emulator's twin: draws that are white enough, and cells that do what their settings say."""

import numpy as np
import pytest

from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulation import DRAW_SIGMA, IDEAL, EmulatorConfig
from celosia.golden.crossbar.emulator import EmulatorTwin, draw
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, plain_correction
from celosia.golden.crossbar.programming import Programmer, region
from celosia.golden.crossbar.recipe import settings_for
from celosia.golden.errors import CelosiaError

SEED = 9
CONFIG = CrossbarConfig(rows=16, outputs=3, spares=1, adcs=4)


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


def test_draws_are_white():
    deviates = draw(5, 2, np.arange(300)[:, None], np.arange(200)[None, :]).astype(float)
    assert abs(deviates.mean()) < 3
    assert deviates.std() == pytest.approx(DRAW_SIGMA, rel=0.02)
    for axis in (0, 1):
        first, second = np.moveaxis(deviates, axis, 0)[:-1], np.moveaxis(deviates, axis, 0)[1:]
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    other = draw(5, 3, np.arange(300)[:, None], np.arange(200)[None, :])
    assert abs(np.corrcoef(deviates.ravel(), other.ravel())[0, 1]) < 0.02


def program(twin, levels, device="ideal"):
    settings = settings_for(load_device(device), CONFIG, Scheme.STEP)
    rows, columns = region(0, CONFIG.rows, 0, CONFIG.columns)
    return Programmer(twin, CONFIG, settings).program(0, rows, columns, levels.ravel())


def test_ideal_cells_take_any_weights_and_multiply_exactly(rng):
    weights = rng.integers(-128, 128, (CONFIG.rows, CONFIG.outputs)).astype(np.int8)
    twin = EmulatorTwin(CONFIG, IDEAL)
    levels = levels_of(weights, CONFIG)
    results = program(twin, levels)
    assert (results.result == Result.CONVERGED).all()
    assert np.array_equal(twin.conductance[0], levels * CONFIG.level_step)
    inputs = rng.integers(-128, 128, (20, CONFIG.rows)).astype(np.int8)
    multiplier = Multiplier(twin, CONFIG)
    sums = multiplier.multiply(0, plain_correction(CONFIG), inputs, True)
    assert np.array_equal(sums, (inputs.astype(int) + 128) @ weights.astype(int))
    assert multiplier.telemetry.saturations == 0


def test_cells_differ_and_pulses_differ():
    spread = EmulatorConfig(device_spread=60, set_spread=60)
    rows, columns = region(0, CONFIG.rows, 0, CONFIG.columns)

    def conductances(emulator, pulses):
        twin = EmulatorTwin(CONFIG, emulator)
        for _ in range(pulses):
            code = np.full(len(rows), 350)
            twin.pulse(0, rows, columns, 2, code, code, 1)
        return twin.conductance[0]

    assert np.unique(conductances(IDEAL, 1)).size == 1
    assert conductances(spread, 1).std() > 20
    # SET only ever raises: more draws, higher ends.
    assert (conductances(spread, 5) >= conductances(spread, 1)).all()


def test_short_pulses_go_part_of_the_way():
    twin = EmulatorTwin(CONFIG, EmulatorConfig(full_width=3))
    cell = np.array([0])
    code = np.array([500])
    twin.pulse(0, cell, cell, 2, code, code, 2)
    assert twin.conductance[0, 0, 0] == 960 // 4
    twin.pulse(0, cell, cell, 2, code, code, 200)
    assert twin.conductance[0, 0, 0] == 960


def test_faults_come_at_their_rates():
    config = CrossbarConfig(tiles=4, rows=64, outputs=8)
    twin = EmulatorTwin(config, EmulatorConfig(stuck_low=655, stuck_high=1311))
    assert twin.stuck_low.mean() == pytest.approx(0.01, rel=0.3)
    assert twin.stuck_high.mean() == pytest.approx(0.02, rel=0.3)
    assert not (twin.stuck_low & twin.stuck_high).any()
    assert set(np.unique(twin.effective(0))) == {0, 1023}


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("set_on", 1024), ("unformed", True)])
def test_what_does_not_fit_is_refused(name, value):
    with pytest.raises(CelosiaError, match=rf"^{name} must be an integer from 0 to \d+, not "):
        EmulatorConfig(**{name: value})
