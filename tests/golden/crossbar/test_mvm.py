"""Weights as levels, and products of a tile: exact where the converters are wide enough."""

import numpy as np
import pytest
from support.exact_tiles import ExactTiles

from celosia.golden.crossbar.config import CrossbarConfig, WeightMapping
from celosia.golden.crossbar.front_end import GAIN_ONE, Part
from celosia.golden.crossbar.mapping import columns_of, levels_of, weights_of
from celosia.golden.crossbar.mvm import (
    Multiplier,
    driven_bits,
    gain_for,
    plain_correction,
    used_columns,
)

SEED = 17
MAPPINGS = list(WeightMapping)


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


def random_weights(rng, config):
    weights = rng.integers(-128, 128, (config.rows, config.outputs)).astype(np.int8)
    weights[rng.random(weights.shape) < 0.1] = rng.choice([-128, 127, 0])
    return weights


def wide(cell_bits, **sizes):
    sizes = {"rows": 16, "outputs": 5, "spares": 1, "adc_bits": 12, "adcs": 2, **sizes}
    return CrossbarConfig(cell_bits=cell_bits, **sizes)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("cell_bits", [1, 2, 4])
def test_levels_stand_for_their_weights(rng, cell_bits, mapping):
    config = wide(cell_bits, mapping=mapping)
    weights = random_weights(rng, config)
    levels = levels_of(weights, config)
    assert levels.shape == (config.rows, config.columns)
    assert levels.min() >= 0
    assert levels.max() < config.levels
    back = weights_of(levels, config)
    assert np.array_equal(back[:, : config.outputs], weights)
    assert not back[:, config.outputs :].any()
    nothing = levels_of(np.zeros((2, 2), np.int8), config)
    if mapping == "offset":
        # 128 everywhere, in the reference too.
        of_zero = [0] * (config.slices - 1) + [config.levels // 2]
        assert (nothing.reshape(config.rows, -1, config.slices) == of_zero).all()
        assert (levels[:, config.reference :] == of_zero).all()
    else:
        # Zero weight, zero level in both columns: a differential pair drives no current for it.
        assert not nothing.any()


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("cell_bits", [1, 2, 4])
@pytest.mark.parametrize("unsigned", [False, True])
def test_wide_converters_give_the_exact_product(rng, cell_bits, unsigned, mapping):
    config = wide(cell_bits, mapping=mapping)
    weights = random_weights(rng, config)
    inputs = rng.integers(-128, 128, (40, config.rows)).astype(np.int8)
    multiplier = Multiplier(ExactTiles(config, levels_of(weights, config)[None]), config)
    sums = multiplier.multiply(0, plain_correction(config), inputs, unsigned)
    driven = inputs.astype(np.int64) + 128 * unsigned
    assert sums.dtype == np.int32
    assert np.array_equal(sums, driven @ weights.astype(np.int64))
    assert multiplier.telemetry.products == 40
    assert multiplier.telemetry.conversions == 40 * 8 * config.columns
    assert multiplier.telemetry.reissues == 0


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_halves_of_the_rows_save_what_saturates(rng, mapping):
    config = wide(4, adc_bits=7, mapping=mapping)
    weights = rng.integers(100, 128, (config.rows, config.outputs)).astype(np.int8)
    inputs = rng.integers(-128, 128, (60, config.rows)).astype(np.int8)
    tiles = ExactTiles(config, levels_of(weights, config)[None])
    multiplier = Multiplier(tiles, config)
    sums = multiplier.multiply(0, plain_correction(config), inputs, True)
    # 16 rows of up to 15 don't fit 7 bits, 8 of them always do.
    assert multiplier.telemetry.reissues > 0
    assert multiplier.telemetry.saturations == 0
    assert np.array_equal(sums, (inputs.astype(np.int64) + 128) @ weights.astype(np.int64))
    parts = {sequence & 3 for sequence in tiles.sequences}
    assert parts == set(Part)


def test_offset_takes_half_the_cells_and_one_reference():
    differential = wide(4)
    offset = wide(4, mapping="offset")
    assert offset.columns == differential.columns // 2 + offset.slices
    assert offset.reference == differential.columns // 2
    assert differential.reference == differential.columns


def test_the_reference_belongs_to_every_output(rng):
    """A saturated column of it is issued again, and what all its cells leak is taken away."""
    config = wide(4, mapping="offset")
    weights = random_weights(rng, config)
    inputs = rng.integers(-128, 128, (10, config.rows)).astype(np.int8)
    levels = levels_of(weights, config)
    used = used_columns(plain_correction(config), config)
    assert used[config.reference :].all()
    assert used.sum() == (config.outputs + 1) * config.slices
    leaking = Multiplier(ExactTiles(config, levels[None] + 3), config)
    sums = leaking.multiply(0, plain_correction(config), inputs, True)
    exact = (inputs.astype(np.int64) + 128) @ weights.astype(np.int64)
    assert np.array_equal(sums, exact)
    levels[:, config.reference :] += 1  # but one that the reference alone leaks isn't
    other = Multiplier(ExactTiles(config, levels[None]), config)
    assert (other.multiply(0, plain_correction(config), inputs, True) != exact).any()


def test_what_stays_saturated_is_clipped_and_counted():
    config = wide(4, adc_bits=6)
    weights = np.full((config.rows, config.outputs), 127, np.int8)
    multiplier = Multiplier(ExactTiles(config, levels_of(weights, config)[None]), config)
    inputs = np.full((1, config.rows), 127, np.int8)
    sums = multiplier.multiply(0, plain_correction(config), inputs, True)
    assert multiplier.telemetry.saturations > 0
    assert (sums < 255 * 127 * config.rows).all()


def test_a_calibrated_range_is_close_where_codes_are_few(rng):
    config = wide(4, rows=64, adc_bits=8)
    weights = np.clip(rng.normal(0, 25, (config.rows, config.outputs)), -127, 127).astype(np.int8)
    inputs = rng.integers(-128, 128, (200, config.rows)).astype(np.int8)
    levels = levels_of(weights, config)
    exact = (inputs.astype(np.int64) + 128) @ weights.astype(np.int64)
    peak = (driven_bits(inputs, True).reshape(-1, config.rows).astype(np.int64) @ levels).max()

    def error(adc_gain):
        multiplier = Multiplier(ExactTiles(config, levels[None]), config)
        sums = multiplier.multiply(0, plain_correction(config, adc_gain), inputs, True)
        return np.sqrt(((sums - exact) ** 2).mean()) / exact.std()

    calibrated = error(gain_for(peak, config))
    # The largest sum that any weights could give takes the range instead.
    ruinous = error(gain_for(config.rows * (config.levels - 1), config))
    assert calibrated < 0.01 < ruinous


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_outputs_may_be_spares(rng, mapping):
    config = wide(4, mapping=mapping)
    weights = random_weights(rng, config)
    inputs = rng.integers(-128, 128, (10, config.rows)).astype(np.int8)
    levels = levels_of(weights, config)
    spare = config.outputs
    levels[:, columns_of(spare, config)] = levels[:, columns_of(2, config)]
    levels[:, columns_of(2, config)] = config.levels - 1  # stuck, and saturated
    correction = plain_correction(config)
    correction.outputs[2] = spare
    multiplier = Multiplier(ExactTiles(config, levels[None]), config)
    sums = multiplier.multiply(0, correction, inputs, False)
    assert np.array_equal(sums, inputs.astype(np.int64) @ weights.astype(np.int64))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_columns_are_corrected(rng, mapping):
    config = wide(4, mapping=mapping)
    weights = random_weights(rng, config)
    inputs = rng.integers(-128, 128, (10, config.rows)).astype(np.int8)
    tiles = ExactTiles(config, levels_of(weights, config)[None])
    exact = tiles.product
    # Each column's converter is off by 3 codes and a factor of two.
    tiles.product = lambda *args: (2 * exact(*args)[0] + 3, exact(*args)[1])
    correction = plain_correction(config)
    correction.gain[:] = 1 << 11
    correction.offset[:] = -(3 << 11)
    sums = Multiplier(tiles, config).multiply(0, correction, inputs, False)
    assert np.array_equal(sums, inputs.astype(np.int64) @ weights.astype(np.int64))


@pytest.mark.parametrize("peak", [1, 100, 254, 255, 1000, 15360])
def test_gains_of_a_peak_just_fit(peak):
    config = wide(4, adc_bits=8)
    gain = gain_for(peak, config)
    assert 1 <= gain <= GAIN_ONE
    assert peak * gain / GAIN_ONE < 255 or gain == 1
    assert (gain == GAIN_ONE) == (peak <= 254)


def test_no_vectors_no_sums():
    config = wide(4)
    tiles = ExactTiles(config, np.zeros((1, config.rows, config.columns), np.int64))
    sums = Multiplier(tiles, config).multiply(
        0, plain_correction(config), np.empty((0, config.rows), np.int8), True
    )
    assert sums.shape == (0, config.outputs)
