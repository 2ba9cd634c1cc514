"""Weights around stuck cells: as near as any levels come, and outputs where they suffer least."""

from itertools import permutations, product

import numpy as np
import pytest

from celosia.golden.crossbar.config import CrossbarConfig, WeightMapping
from celosia.golden.crossbar.mapping import columns_of, levels_of, weights_of
from celosia.golden.crossbar.remapping import FREE, levels_around, outputs_around

SEED = 11


def config_of(cell_bits, **sizes):
    return CrossbarConfig(
        **{"rows": 8, "outputs": 3, "spares": 1, "adcs": 1, "cell_bits": cell_bits, **sizes}
    )


def stuck(rng, config, share):
    held = np.full((config.rows, config.columns), FREE)
    cells = rng.random(held.shape) < share
    held[cells] = rng.choice([0, config.levels - 1], cells.sum())
    return held


def effective(levels, held, config):
    """Weights [rows, outputs and spares] that cells give, the stuck ones as they are."""
    return weights_of(np.where(held == FREE, levels, held), config)


def nearest(weight, cells, config):
    """The smallest error that any levels of the free cells give, one after the other."""
    choices = [range(config.levels) if cell == FREE else (cell,) for cell in cells]
    signs = (1,) if config.mapping == "offset" else (1, -1)
    place = [
        signs[n % len(signs)] << (config.cell_bits * (n // len(signs))) for n in range(len(cells))
    ]
    return min(
        abs(int(weight) - sum(p * level for p, level in zip(place, levels, strict=True)))
        for levels in product(*choices)
    )


@pytest.mark.parametrize("mapping", WeightMapping)
@pytest.mark.parametrize("cell_bits", [1, 2, 4])
def test_without_stuck_cells_it_is_the_mapping(cell_bits, mapping):
    rng = np.random.default_rng(SEED)
    config = config_of(cell_bits, mapping=mapping)
    weights = rng.integers(-128, 128, (8, 3)).astype(np.int8)
    free = np.full((config.rows, config.columns), FREE)
    outputs = outputs_around(weights, free, config)
    assert len(set(outputs)) == 3
    levels = levels_around(weights, free, np.arange(3), config)
    expected = levels_of(weights, config)
    expected[:, columns_of(3, config)] = 0  # the spare isn't in use
    np.testing.assert_array_equal(levels, expected)


@pytest.mark.parametrize("mapping", WeightMapping)
@pytest.mark.parametrize(("cell_bits", "share"), [(4, 0.2), (4, 0.6), (2, 0.3), (1, 0.5)])
def test_no_levels_come_nearer(cell_bits, share, mapping):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    config = config_of(cell_bits, rows=4, mapping=mapping)
    outputs = np.array([1, 3, 0])
    tried = 0
    for _ in range(3 if cell_bits == 4 else 1):
        weights = rng.integers(-128, 128, (4, 3)).astype(np.int8)
        held = stuck(rng, config, share)
        levels = levels_around(weights, held, outputs, config)
        found = effective(levels, held, config)[:, outputs]
        # What the reference takes away, whatever its stuck cells make of it.
        reference = np.where(held == FREE, levels, held)[:, config.reference :]
        taken = (reference << config.cell_bits * np.arange(reference.shape[1])).sum(axis=1)
        for row in range(4):
            for output in range(3):
                cells = held[row, columns_of(int(outputs[output]), config)]
                least = nearest(int(weights[row, output]) + taken[row], cells, config)
                assert abs(found[row, output] - int(weights[row, output])) == least
                tried += least > 0
    assert tried > 3


@pytest.mark.parametrize("mapping", WeightMapping)
def test_outputs_are_where_they_suffer_least(mapping):
    rng = np.random.default_rng(SEED)
    config = config_of(4, rows=16, mapping=mapping)
    for _ in range(5):
        weights = rng.integers(-128, 128, (16, 3)).astype(np.int8)
        held = stuck(rng, config, 0.1)

        def error(outputs, weights=weights, held=held):
            outputs = np.array(outputs)
            levels = levels_around(weights, held, outputs, config)
            off = effective(levels, held, config)[:, outputs] - weights
            return int((off.astype(np.int64) ** 2).sum())

        least = min(error(outputs) for outputs in permutations(range(4), 3))
        assert error(outputs_around(weights, held, config)) == least < error([0, 1, 2])
