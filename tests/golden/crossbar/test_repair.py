"""Repair: the worst outputs go to the best spares, and products are right again."""

import numpy as np
import pytest
from support.exact_tiles import ExactTiles

from celosia.golden.crossbar.commands import Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.mapping import columns_of, levels_of
from celosia.golden.crossbar.mvm import Multiplier, plain_correction
from celosia.golden.crossbar.programming import CellResults
from celosia.golden.crossbar.repair import defects_of, harm_of, placed, repaired
from celosia.golden.crossbar.telemetry import COUNTED_RESULTS

SEED = 29
CONFIG = CrossbarConfig(rows=8, outputs=4, spares=2, adc_bits=12, adcs=2)


def map_of(*cells):
    defects = np.zeros((CONFIG.rows, CONFIG.columns), bool)
    for row, column in cells:
        defects[row, column] = True
    return defects


def column(output, part, sign=0):
    return (output * CONFIG.slices + part) * 2 + sign


def test_defects_weigh_as_their_slices():
    defects = map_of((0, column(1, 0)), (3, column(1, 1, 1)), (4, column(5, 0, 1)))
    assert harm_of(defects, CONFIG).tolist() == [0, 1 + 16, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("defects", "outputs"),
    [
        (map_of(), [0, 1, 2, 3]),
        (map_of((0, column(2, 0))), [0, 1, 4, 3]),
        # The worst first, the best spare first.
        (map_of((0, column(3, 1)), (0, column(0, 0)), (1, column(4, 0))), [0, 1, 2, 5]),
        (map_of((0, column(3, 1)), (0, column(0, 1)), (1, column(4, 0))), [5, 1, 2, 4]),
        # More defective ones than spares; equal ones in order.
        (map_of(*((0, column(output, 0)) for output in range(4))), [4, 5, 2, 3]),
        # A spare that is no better stays unused.
        (map_of((0, column(0, 0)), (1, column(4, 0)), (1, column(5, 1))), [0, 1, 2, 3]),
    ],
)
def test_the_worst_get_the_best(defects, outputs):
    assert repaired(defects, CONFIG).tolist() == outputs


def test_results_enter_the_map_unless_unfinished():
    count = len(COUNTED_RESULTS)
    nothing = np.zeros(count, np.int64)
    results = CellResults(
        np.arange(count), np.arange(count) + 3, np.array(COUNTED_RESULTS), *([nothing] * 4)
    )
    defects = defects_of(results, CONFIG)
    entered = [Result(row) for row, _ in np.argwhere(defects)]
    unfinished = (Result.CONVERGED, Result.ABORTED)
    assert entered == [item for item in COUNTED_RESULTS if item not in unfinished]
    assert all(place == row + 3 for row, place in np.argwhere(defects))


def test_stuck_cells_do_no_harm_once_repaired():
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    weights = rng.integers(-128, 128, (CONFIG.rows, CONFIG.outputs)).astype(np.int8)
    inputs = rng.integers(-128, 128, (20, CONFIG.rows)).astype(np.int8)
    exact = inputs.astype(np.int64) @ weights.astype(np.int64)
    levels = levels_of(weights, CONFIG)
    defects = map_of((2, column(1, 1)), (5, column(3, 0, 1)), (5, column(3, 1)))

    def sums(outputs):
        cells = np.where(defects, CONFIG.levels - 1, placed(levels, outputs, CONFIG))
        correction = plain_correction(CONFIG)
        correction.outputs[:] = outputs
        multiplier = Multiplier(ExactTiles(CONFIG, cells[None]), CONFIG)
        return multiplier.multiply(0, correction, inputs, False)

    assert np.array_equal(sums(repaired(defects, CONFIG)), exact)
    damaged = sums(np.arange(CONFIG.outputs))
    assert np.array_equal((damaged != exact).any(axis=0), [False, True, False, True])


def test_levels_move_with_their_outputs():
    levels = np.arange(CONFIG.rows * CONFIG.columns).reshape(CONFIG.rows, -1)
    moved = placed(levels, np.array([0, 5, 2, 3]), CONFIG)
    assert np.array_equal(moved[:, columns_of(5, CONFIG)], levels[:, columns_of(1, CONFIG)])
    assert not moved[:, columns_of(1, CONFIG)].any()
    assert np.array_equal(moved[:, columns_of(2, CONFIG)], levels[:, columns_of(2, CONFIG)])


def test_a_reference_is_no_output_and_stays_in_its_place():
    config = CrossbarConfig(rows=8, outputs=4, spares=2, adc_bits=12, adcs=2, mapping="offset")
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    weights = rng.integers(-128, 128, (config.rows, config.outputs)).astype(np.int8)
    inputs = rng.integers(-128, 128, (20, config.rows)).astype(np.int8)
    exact = inputs.astype(np.int64) @ weights.astype(np.int64)
    defects = np.zeros((config.rows, config.columns), bool)
    defects[2, 2 * config.slices + 1] = defects[[1, 3], 5 * config.slices] = True
    defects[0, config.reference] = True
    assert harm_of(defects, config).tolist() == [0, 0, 16, 0, 0, 2]
    outputs = repaired(defects, config)
    assert outputs.tolist() == [0, 1, 4, 3]
    defects[0, config.reference] = False
    cells = placed(levels_of(weights, config), outputs, config)
    correction = plain_correction(config)
    correction.outputs[:] = outputs
    cells = np.where(defects, config.levels - 1, cells)
    multiplier = Multiplier(ExactTiles(config, cells[None]), config)
    assert np.array_equal(multiplier.multiply(0, correction, inputs, False), exact)
