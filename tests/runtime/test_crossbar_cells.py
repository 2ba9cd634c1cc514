"""Programming and forming many cells against the logs of published arrays.

Bounds are the project's acceptance; docs/crossbar-devices.md has the published figures beside ours.
"""

import dataclasses

import numpy as np
import pytest

from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.errors import CelosiaError
from celosia.runtime.crossbar.cells import SchemeName, form_cells, program_cells

RADAR = load_device("hfox-radar")


@pytest.mark.parametrize("seed", [1, 2026])
def test_step_pulses_program_32768_cells_as_published(seed):
    report = program_cells(RADAR, seed=seed)
    assert 0.96 <= report.converged <= 0.975  # 96.2, 96.6 and 97.2 % in the logs
    assert 19 <= report.pulses_mean <= 25.5  # 19.2, 20.9 and 25.3
    assert 10 <= report.pulses_median <= 14  # 10, 12 and 12
    assert 63 <= report.pulses_p95 <= 91  # 63, 67 and 91
    assert min(report.levels, key=lambda level: level.converged).level == 0
    assert sum(report.results.values()) == 32768


@pytest.mark.parametrize("seed", [1, 2026])
def test_coarse_then_fine_programs_32768_cells_as_published(seed):
    report = program_cells(RADAR, scheme=SchemeName.COARSE_FINE, seed=seed)
    assert 0.959 <= report.converged <= 0.973  # 95.9 to 97.3 % in the logs
    assert 8 <= report.pulses_mean <= 9.5  # 8.3 to 9.5
    assert 5 <= report.pulses_median <= 8  # 5 and 6
    assert report.levels[0].converged == pytest.approx(0.855, abs=0.02)
    assert all(level.converged > 0.99 for level in report.levels[1:])


def test_steps_trade_success_for_pulses_as_published():
    # 10, 20, 40, 80, 150 mV: 98.4, 97.9, 97.2, 96.2, 95.6 %; 45, 31, 25, 26, 26 pulses.
    reports = [program_cells(RADAR, step_mv=step) for step in (10, 20, 40, 80, 150)]
    success = [report.converged for report in reports]
    pulses = [report.pulses_mean for report in reports]
    assert success == sorted(success, reverse=True)
    assert success[0] - success[-1] > 0.01
    np.testing.assert_allclose(success, [0.984, 0.979, 0.972, 0.962, 0.956], atol=0.015)
    assert pulses[0] > pulses[1] > pulses[2]
    np.testing.assert_allclose(pulses, [45, 31, 25, 26, 26], rtol=0.2)


def test_the_trade_off_needs_the_scatter_of_jumps():
    """Without it cells meet the same voltages again and again, and large steps fail."""
    tame = dataclasses.replace(RADAR, set=dataclasses.replace(RADAR.set, jump_sigma_v=0.0))
    report = program_cells(tame, step_mv=150)
    assert report.converged < 0.93
    assert report.pulses_mean > 1.2 * 26


def test_cells_of_the_neurram_type_take_the_published_pulses():
    report = program_cells(load_device("hfox-neurram"), bits=4)
    assert report.converged > 0.99  # 99 %
    assert report.pulses_mean == pytest.approx(8.52, abs=0.5)


def test_forming_is_as_published():
    report = form_cells(RADAR)
    assert report.formed > 0.999
    assert 3.08 <= report.voltage_mean <= 3.17
    assert 0.11 <= report.voltage_sigma <= 0.45
    assert 1.0 <= report.voltage_lowest < report.voltage_highest <= 4.0
    assert 7.0e3 <= report.formed_median_ohm <= 7.8e3
    skywater = form_cells(load_device("sky130"), cells=8192)
    assert skywater.formed == pytest.approx(0.9273, abs=0.01)
    # Of those that form, 90.83 % can be RESET.
    assert skywater.converged / skywater.formed == pytest.approx(0.9083, abs=0.015)


def test_seeds_make_runs_repeat_and_cells_are_their_own():
    first = program_cells(RADAR, cells=4096, seed=7)
    again = program_cells(RADAR, cells=4096, seed=7)
    more = program_cells(RADAR, cells=5000, seed=7)
    other = program_cells(RADAR, cells=4096, seed=8)
    np.testing.assert_array_equal(first.conductances, again.conductances)
    np.testing.assert_array_equal(first.conductances, more.conductances[:4096])
    assert (first.conductances != other.conductances).mean() > 0.9


def test_cells_beyond_one_tile():
    report = program_cells(load_device("ideal"), cells=70001, bits=4)
    assert report.converged == 1.0
    np.testing.assert_allclose(report.conductances, 2.0 * report.targets, atol=1e-9)
    assert [level.cells for level in report.levels][:2] == [4376, 4375]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cells": 0}, "cells must be from 1 to 1048576, not 0"),
        ({"cells": 1 << 21}, "cells must be from 1 to 1048576, not 2097152"),
        ({"bits": 3}, "bits must be 1, 2 or 4, not 3"),
        ({"seed": -1}, r"seed must be from 0 to 2\*\*48 - 1, not -1"),
        ({"step_mv": 2.0}, "step must be from 5 to 1000 mV, not 2"),
    ],
)
def test_what_cannot_be_programmed(arguments, sentence):
    with pytest.raises(CelosiaError, match=f"^{sentence}$"):
        program_cells(RADAR, **arguments)
