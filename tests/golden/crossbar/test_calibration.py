"""Calibration: offsets and gains of columns, ranges that fit, drift that is made up for."""

from dataclasses import replace

import numpy as np
import pytest
from support.exact_tiles import ExactTiles

from celosia.golden.crossbar.calibration import (
    LEAK_FRACTION,
    SMALLEST_SUM,
    Measurement,
    calibrate,
    drift_compensated,
    measure,
    measure_unsaturated,
    range_for,
)
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.corrections import CORRECTION_FRACTION
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.crossbar.mapping import columns_of, levels_of
from celosia.golden.crossbar.mvm import Multiplier, plain_correction
from celosia.golden.errors import CelosiaError

SEED = 23
ONE = 1 << CORRECTION_FRACTION
CONFIG = CrossbarConfig(rows=64, outputs=5, spares=1, adc_bits=12, adcs=2)
HIGHEST = (1 << CONFIG.adc_bits) - 1
FINE = 4 * GAIN_ONE
"""A level step is four codes, so that rounding is small beside what columns do."""


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


class DistortedTiles:
    """Level sums through columns and converters of some gain and offset, and noise of a seed."""

    def __init__(self, levels, gain, offset, *, noise=0.0, leak=0.0):
        self.levels, self.gain, self.offset = levels + leak, gain, offset
        self.noise = noise

    def product(self, tile, driven, gain, sequence):
        """Codes [n, columns] of row masks [n, rows], and whether each was saturated."""
        exact = driven.astype(float) @ self.levels * self.gain * gain / GAIN_ONE + self.offset
        if self.noise:
            exact += [np.random.default_rng(s).normal(0, self.noise, len(self.offset))
                      for s in sequence]  # fmt: skip
        codes = np.clip(np.floor(exact + 0.5).astype(np.int64), 0, HIGHEST)
        return codes, codes == HIGHEST


def case(rng):
    weights = np.clip(rng.normal(0, 40, (CONFIG.rows, CONFIG.outputs)), -127, 127).astype(np.int8)
    inputs = rng.integers(-128, 128, (100, CONFIG.rows)).astype(np.int8)
    exact = (inputs.astype(np.int64) + 128) @ weights.astype(np.int64)
    return levels_of(weights, CONFIG), inputs, exact


def error(tiles, correction, inputs, exact):
    sums = Multiplier(tiles, CONFIG).multiply(0, correction, inputs, True)
    return np.sqrt(((sums - exact) ** 2).mean()) / exact.std()


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("leak", [0.0, 0.25])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_gains_and_offsets_are_found_and_taken_back(rng, noise, leak, parts):
    levels, inputs, exact = case(rng)
    gain = rng.uniform(0.5, 1.2, CONFIG.columns)
    offset = rng.integers(0, 12, CONFIG.columns)
    tiles = DistortedTiles(levels, gain, offset, noise=noise, leak=leak)
    plain = plain_correction(CONFIG, FINE)
    multiplier = Multiplier(tiles, CONFIG)
    measurement = measure(multiplier, 0, plain.adc_gain, parts=parts, average=4)
    calibrated, failed = calibrate(
        plain, measurement, levels, leak=int(leak * (1 << LEAK_FRACTION))
    )
    codes = 4 * (levels.sum(axis=0) + leak * CONFIG.rows) * gain
    used = codes >= 4 * SMALLEST_SUM
    assert not failed.any()
    assert multiplier.telemetry.products == multiplier.telemetry.integrations == (parts + 1) << 4
    # Each mask is rounded once, and what its sum is compared with as well.
    off = np.abs(calibrated.gain / ONE * gain - 1) * codes
    assert off[used].max() < parts * (0.5 + noise) + 0.5
    assert np.abs(calibrated.offset / calibrated.gain + offset).max() < 0.5 + noise
    left = error(tiles, calibrated, inputs, exact)
    assert left < 0.1 * error(tiles, plain, inputs, exact)
    # The levels are what gains come from: those of other weights make it worse than it was.
    wrong, _ = calibrate(plain, measurement, levels[:, ::-1], leak=0)
    assert error(tiles, wrong, inputs, exact) > 5 * left


def test_ideal_columns_keep_a_gain_of_one_and_exact_products(rng):
    levels, inputs, exact = case(rng)
    tiles = ExactTiles(replace(CONFIG, adc_bits=12), levels[None])
    multiplier = Multiplier(tiles, CONFIG)
    plain = plain_correction(CONFIG)
    calibrated, failed = calibrate(plain, measure(multiplier, 0, plain.adc_gain), levels)
    assert not failed.any()
    assert (calibrated.gain == ONE).all()
    assert not calibrated.offset.any()
    assert np.array_equal(multiplier.multiply(0, calibrated, inputs, True), exact)
    # A product's number is used once: codes of the calibration have noise of their own.
    assert len(set(tiles.sequences)) == len(tiles.sequences)


def test_integers_are_those_of_the_formula():
    config = CrossbarConfig(rows=4, outputs=1, spares=0, adcs=1, cell_bits=4)
    levels = np.array([[15, 0, 15, 0]] * 4)
    measurement = Measurement(
        zero=np.array([5, 5, 6, 7]),
        total=np.array([400, 3, 0, 9]),
        saturated=np.array([False, False, False, True]),
        average=3,
    )
    correction, failed = calibrate(plain_correction(config), measurement, levels)
    # 60 levels * 2^8 * GAIN_ONE * 8 / (400 * 2^8) = 4915.2; 5 * 4915 / 8 = 3071.875.
    assert correction.gain.tolist() == [4915, ONE, ONE, ONE]
    assert correction.offset.tolist() == [-3072, -2560, -3072, -3584]
    assert failed.tolist() == [False, False, True, False]
    # A column of levels that saturates, one whose gain is 4 or more, and an offset of 128 codes.
    levels = np.array([[15, 15, 15, 0]] * 4)
    measurement = Measurement(
        zero=np.array([0, 0, 0, 8 * 128 + 1]),
        total=np.array([480, 120, 121, 0]),
        saturated=np.array([True, False, False, False]),
        average=3,
    )
    correction, failed = calibrate(plain_correction(config), measurement, levels)
    assert correction.gain.tolist() == [ONE, ONE, round(480 / 121 * ONE), ONE]
    assert correction.offset.tolist() == [0, 0, 0, -(1 << 19)]
    assert failed.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": 3}, "^parts must be a power of two from 1 to 64, not 3$"),
        ({"parts": 128}, "^parts must be a power of two from 1 to 64, not 128$"),
        ({"average": 7}, "^average must be an integer from 0 to 6, not 7$"),
    ],
)
def test_measurements_that_cannot_be(arguments, message):
    with pytest.raises(CelosiaError, match=message):
        measure(Multiplier(None, CONFIG), 0, GAIN_ONE, **arguments)


@pytest.mark.parametrize("adc_bits", [6, 7])
def test_ranges_fit_the_inputs(rng, adc_bits):
    levels, inputs, _ = case(rng)
    config = replace(CONFIG, adc_bits=adc_bits)
    multiplier = Multiplier(ExactTiles(config, levels[None]), config)
    gain = range_for(multiplier, 0, inputs, True)
    assert gain < GAIN_ONE
    multiplier.multiply(0, plain_correction(config, gain), inputs, True)
    assert multiplier.telemetry.reissues == 0
    widest = Multiplier(ExactTiles(config, levels[None]), config)
    widest.multiply(0, plain_correction(config, gain + gain // 12), inputs, True)
    assert widest.telemetry.reissues > 0
    # A share that may saturate buys resolution.
    assert range_for(multiplier, 0, inputs, True, share=0.01) > gain


def test_ranges_are_those_of_outputs_in_use(rng):
    levels, inputs, _ = case(rng)
    config = replace(CONFIG, adc_bits=8)
    stuck = levels.copy()
    stuck[:, columns_of(2, config)] = config.levels - 1
    stuck[:, columns_of(config.outputs, config)] = levels[:, columns_of(2, config)]
    healthy = range_for(Multiplier(ExactTiles(config, levels[None]), config), 0, inputs, True)
    multiplier = Multiplier(ExactTiles(config, stuck[None]), config)
    outputs = np.array([0, 1, config.outputs, 3, 4])
    assert range_for(multiplier, 0, inputs, True, outputs) == healthy
    assert range_for(multiplier, 0, inputs, True) < healthy


def test_a_range_needs_inputs():
    with pytest.raises(CelosiaError, match=r"^inputs must be at least one vector, not none$"):
        range_for(Multiplier(None, CONFIG), 0, np.empty((0, 64), np.int8), True)


@pytest.mark.parametrize("loss", [0.9, 0.6, 0.2])
def test_one_factor_makes_up_for_drift(rng, loss):
    levels, inputs, exact = case(rng)
    offset = np.full(CONFIG.columns, 4)
    fresh = DistortedTiles(levels, 1.0, offset)
    drifted = DistortedTiles(levels * loss, 1.0, offset)
    plain = plain_correction(CONFIG, FINE)
    before = measure(Multiplier(fresh, CONFIG), 0, plain.adc_gain)
    now = measure(Multiplier(drifted, CONFIG), 0, plain.adc_gain)
    calibrated, _ = calibrate(plain, before, levels)
    compensated = drift_compensated(calibrated, before, now, CONFIG)
    factor = compensated.scale / calibrated.scale * 2.0 ** (calibrated.shift - compensated.shift)
    assert factor == pytest.approx(1 / loss, rel=0.01)
    # As good as a product of what is left can be, which loses resolution.
    perfect = replace(calibrated, scale=round(plain.scale / loss))
    assert error(drifted, compensated, inputs, exact) < 1.1 * error(drifted, perfect, inputs, exact)
    assert error(drifted, calibrated, inputs, exact) > 0.09
    unchanged = drift_compensated(calibrated, before, before, CONFIG)
    assert (unchanged.scale, unchanged.shift) == (calibrated.scale, calibrated.shift)


def test_tiles_that_conduct_nothing_cannot_be_compensated():
    plain = plain_correction(CONFIG)
    nothing = np.zeros(CONFIG.columns, np.int64)
    dead = Measurement(nothing, nothing, nothing > 0, 3)
    alive = Measurement(nothing, nothing + 1, nothing > 0, 3)
    with pytest.raises(
        CelosiaError, match=r"^a tile must conduct before and now, not 20 and 0 codes$"
    ):
        drift_compensated(plain, alive, dead, CONFIG)
    strong = Measurement(nothing, nothing + (1 << 20), nothing > 0, 3)
    few = replace(plain, shift=2)
    with pytest.raises(
        CelosiaError, match=r"^a tile must keep more of its 20971520 codes than 80$"
    ):
        drift_compensated(few, strong, alive, CONFIG)


@pytest.mark.parametrize(
    ("adc_bits", "gain", "parts", "saturates"),
    [(8, GAIN_ONE // 4, 1, False), (8, GAIN_ONE, 4, False), (4, GAIN_ONE, 64, True)],
)
def test_as_few_masks_as_stay_inside_the_range(adc_bits, gain, parts, saturates):
    levels = np.zeros((CONFIG.rows, CONFIG.columns), np.int64)
    levels[:, 0] = 15
    config = replace(CONFIG, adc_bits=adc_bits)
    multiplier = Multiplier(ExactTiles(config, levels[None]), config)
    found = measure_unsaturated(multiplier, 0, gain, average=0)
    assert found.saturated.any() == saturates
    assert multiplier.telemetry.probes == sum((1 << k) + 1 for k in range(parts.bit_length()))
