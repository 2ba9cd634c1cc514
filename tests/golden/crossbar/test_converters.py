"""Converters and drivers: what each error does, and what calibration takes back of it."""

import dataclasses

import numpy as np
import pytest

from celosia.golden.crossbar.calibration import calibrate, measure
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.converters import ConverterBank, Converters
from celosia.golden.crossbar.devices.draws import Purpose, normals
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.front_end import GAIN_ONE, BiasMode
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, plain_correction
from celosia.golden.crossbar.physics import Physics
from celosia.golden.errors import CelosiaError

DEVICE = load_device("ideal")
CONFIG = CrossbarConfig(tiles=2, rows=64, outputs=16, spares=0, adc_bits=12, adcs=32)
SEED = 5
FINE = 4 * GAIN_ONE


def front_end(levels, seed=SEED, device=DEVICE, **errors):
    print(f"seed {seed}")
    physics = Physics(CONFIG, device, seed, converters=Converters(**errors))
    targets = device.window.low_us + np.ravel(levels) * physics.level_step_us
    physics.cells.write(np.arange(len(targets)), targets)
    return physics


def random_levels(seed=SEED):
    return np.random.default_rng(seed).integers(0, 16, (2, CONFIG.rows, CONFIG.columns))


def random_rows(count, seed=SEED):
    return np.random.default_rng(seed).random((count, CONFIG.rows)) < 0.5


def test_without_errors_codes_are_those_of_the_formula():
    """Bit for bit what the front end gave before its converters had errors, noise of cells too."""
    device = load_device("hfox-neurram")
    config = dataclasses.replace(CONFIG, tiles=1)
    physics = Physics(config, device, SEED)
    levels = random_levels()[0].ravel()
    cells = np.arange(levels.size)
    physics.cells.write(cells, device.window.low_us + levels * physics.level_step_us)
    driven, sequence = random_rows(20), np.arange(20)
    again = Physics(config, device, SEED, converters=Converters())
    again.cells.write(cells, device.window.low_us + levels * physics.level_step_us)
    shape = config.rows, config.columns
    conductances = again.cells.conductances(cells)
    sigma = again.cells.read_sigma(cells, conductances)
    rows = driven.astype(float)
    deviates = normals(SEED, Purpose.PRODUCT, np.arange(config.columns), sequence[:, None])
    sums = rows @ conductances.reshape(shape)
    sums += np.sqrt(rows @ (sigma**2).reshape(shape)) * deviates
    expected = np.clip(np.rint(sums * (1 / again.level_step_us)), 0, 4095).astype(int)
    for one in (physics, again):
        np.testing.assert_array_equal(one.product(0, driven, GAIN_ONE, sequence)[0], expected)
    at = np.divmod(cells, config.columns)
    found = physics.read(0, *at)
    scale = 4095 / device.window.full_scale_us
    np.testing.assert_array_equal(found, np.clip(np.rint(again.cells.read(cells) * scale), 0, 4095))


def test_offsets_and_gains_belong_to_converters():
    levels = random_levels()
    driven, sequence = random_rows(30), np.arange(30)
    exact = 4.0 * (driven @ levels[1])
    found = front_end(levels, offset=20.0, offset_spread=4.0).product(1, driven, FINE, sequence)[0]
    offset = (found - exact).mean(axis=0)
    # Columns c and c + 32 have the same converter; they are 32 of each tile.
    np.testing.assert_allclose(offset[:32], offset[32:], atol=0.2)
    assert abs(offset.mean() - 20) < 3 * 4 / np.sqrt(32)
    assert 2.5 < offset.std() < 5.5
    assert np.array_equal(found, np.clip(np.rint(exact + offset), 0, 4095))
    gains = front_end(levels, gain=0.9, gain_spread=0.05).product(1, driven, FINE, sequence)[0]
    gain = (gains * exact).sum(axis=0) / (exact**2).sum(axis=0)
    np.testing.assert_allclose(gain[:32], gain[32:], rtol=2e-3)
    assert abs(gain.mean() - 0.9) < 3 * 0.045 / np.sqrt(32)
    assert 0.03 < gain.std() < 0.06


def test_single_cells_are_read_by_the_converter_of_their_column_and_the_driver_of_their_row():
    levels = np.full((2, CONFIG.rows, CONFIG.columns), 8)
    at = np.divmod(np.arange(CONFIG.rows * CONFIG.columns), CONFIG.columns)

    def codes(**errors):
        shape = CONFIG.rows, CONFIG.columns
        return front_end(levels, **errors).read(1, *at).reshape(shape)

    exact = codes()
    assert (exact == exact[0, 0]).all()
    off = codes(offset_spread=30.0) - exact
    assert (off == off[0]).all()
    assert np.array_equal(off[:, :32], off[:, 32:])
    assert len(np.unique(off[0, :32])) > 20
    for name in ("driver_gain_spread", "driver_offset_spread"):
        off = codes(**{name: 0.05}) - exact
        assert (off == off[:, :1]).all()
        assert off[:, 0].std() == pytest.approx(0.05 * exact[0, 0], rel=0.3)
    assert (codes(noise=3.0) - exact).std() == pytest.approx(3.0, rel=0.05)
    physics = front_end(levels, noise=3.0)
    assert not np.array_equal(physics.read(1, *at), physics.read(1, *at))


def test_dacs_of_writes_are_off_by_tile():
    """Gate and line voltages of the ideal device say where its pulses land."""
    levels = np.zeros((2, CONFIG.rows, CONFIG.columns), int)
    everywhere = np.divmod(np.arange(CONFIG.rows * CONFIG.columns), CONFIG.columns)
    volts = np.full(len(everywhere[0]), 400)  # 2.0 V

    def landed(mode, **errors):
        physics = front_end(levels if mode is BiasMode.SET else levels + 15, **errors)
        for tile in range(2):
            physics.pulse(tile, *everywhere, mode, volts, volts, 100)
        of_tiles = physics.cells.conductances().reshape(2, -1)
        assert (of_tiles == of_tiles[:, :1]).all()
        # A level, 2 uS, for each 0.1 V from 1 V on.
        return of_tiles[:, 0] / 20 + 1 if mode is BiasMode.SET else (30 - of_tiles[:, 0]) / 20 + 1

    for mode in (BiasMode.SET, BiasMode.RESET):
        np.testing.assert_allclose(landed(mode), 2.0)
        off = [landed(mode, dac_gain_spread=0.01) / 2 - 1, landed(mode, dac_offset_v=0.02) - 2]
        for found, spread in zip(off, (0.01, 0.02), strict=True):
            assert found[0] != found[1]
            assert (np.abs(found) < 3 * spread).all()
            assert np.abs(found).max() > spread / 10
    bank = ConverterBank(CONFIG, Converters(dac_gain_spread=0.5, dac_offset_v=0.1), SEED)
    words, lines = bank.write_volts(1, np.array([0, 200]), np.array([0, 200]))
    assert words[0] == lines[0] == 0
    assert words[1] != lines[1]


def test_drivers_scale_what_their_rows_give_driven_or_not():
    levels = random_levels()
    each = np.eye(CONFIG.rows, dtype=bool)
    physics = front_end(levels, driver_gain_spread=0.02)
    codes = physics.product(0, each, 16 * FINE, np.arange(CONFIG.rows))[0]
    exact = 64.0 * levels[0]
    gain = (codes * exact).sum(axis=1) / (exact**2).sum(axis=1)
    assert gain.std() == pytest.approx(0.02, rel=0.3)
    np.testing.assert_allclose(codes, gain[:, None] * exact, atol=1.1)
    # With nothing driven, columns carry what the drivers' offsets send through all cells.
    physics = front_end(np.full_like(levels, 10), driver_offset_spread=0.02)
    nothing = physics.product(0, np.zeros((1, 64), bool), 16 * FINE, np.arange(1))[0]
    everything = physics.product(0, np.ones((1, 64), bool), GAIN_ONE, np.arange(1))[0]
    assert len(np.unique(nothing)) == 1
    assert nothing[0, 0] > 0
    np.testing.assert_allclose(everything, 640 + nothing / 64, atol=0.6)


def test_nonlinearity_is_a_bow_and_an_s_between_the_ends_of_the_range():
    """What a ramp at the input finds, column by column."""
    levels = np.ones((2, CONFIG.rows, CONFIG.columns), int)
    physics = front_end(levels, inl=8.0)
    ramp = np.tril(np.ones((CONFIG.rows + 1, CONFIG.rows), bool), -1)
    gain = 4095 * GAIN_ONE // CONFIG.rows
    codes = physics.product(0, ramp, gain, np.arange(len(ramp)))[0]
    exact = np.arange(CONFIG.rows + 1) * gain / GAIN_ONE
    off = codes - exact[:, None]
    assert np.abs(off[[0, -1]]).max() <= 1
    u = exact / 4095
    shapes = np.stack([4 * u * (1 - u), 6 * 3**0.5 * u * (1 - u) * (1 - 2 * u)], axis=1)
    assert np.abs(shapes).max(axis=0) == pytest.approx(1, abs=2e-3)
    peaks, *_ = np.linalg.lstsq(shapes, off, rcond=None)
    assert np.abs(off - shapes @ peaks).max() < 1
    assert peaks[:, :32].std(axis=1) == pytest.approx([8, 8], rel=0.35)
    np.testing.assert_allclose(peaks[:, :32], peaks[:, 32:], atol=1e-9)


def test_noise_of_conversions_is_drawn_by_column_and_product():
    levels = random_levels()
    driven, sequence = np.repeat(random_rows(1), 2000, axis=0), np.arange(2000)
    physics = front_end(levels, noise=1.5)
    codes = physics.product(0, driven, FINE, sequence)[0]
    exact = 4 * (driven[0] @ levels[0])
    np.testing.assert_allclose(codes.mean(axis=0), exact, atol=0.2)
    np.testing.assert_allclose(codes.std(axis=0), np.hypot(1.5, 12**-0.5), rtol=0.08)
    assert abs(np.corrcoef(codes[:, 0], codes[:, 32])[0, 1]) < 0.1
    some = np.random.default_rng(1).permutation(2000)[:50]
    again = physics.product(0, driven[some], FINE, sequence[some])[0]
    np.testing.assert_array_equal(again, codes[some])


@pytest.mark.parametrize(
    ("errors", "left"),
    [
        ({"offset": 12.0, "offset_spread": 3.0, "noise": 0.5}, 0.2),
        ({"gain": 0.9, "gain_spread": 0.05}, 0.1),
        # An offset below zero reads 0 with nothing driven, and stays.
        ({"offset_spread": 3.0, "noise": 0.5}, 1.0),
    ],
)
def test_calibration_takes_back_what_it_can_measure(errors, left):
    generator = np.random.default_rng(SEED)
    weights = np.clip(generator.normal(0, 40, (64, 16)), -127, 127).astype(np.int8)
    inputs = generator.integers(-128, 128, (50, 64)).astype(np.int8)
    exact = (inputs.astype(np.int64) + 128) @ weights.astype(np.int64)
    levels = levels_of(weights, CONFIG)
    multiplier = Multiplier(front_end([levels, levels], **errors), CONFIG)
    plain = plain_correction(CONFIG, FINE)
    measured = measure(multiplier, 1, FINE, average=5)
    calibrated, failed = calibrate(plain, measured, levels)
    assert not failed.any()

    def error(correction):
        return np.sqrt(((multiplier.multiply(1, correction, inputs, True) - exact) ** 2).mean())

    share = error(calibrated) / error(plain)
    assert 0.2 * left < share < left


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({"noise": -1.0}, r"^converters\.noise must be a number from 0 up, not -1\.0$"),
        ({"inl": "1"}, r"^converters\.inl must be a number from 0 up, not '1'$"),
        ({"gain_spread": True}, r"^converters\.gain_spread must be a number from 0 up, not True$"),
        ({"offset": float("nan")}, r"^converters\.offset must be a number, not nan$"),
        ({"gain": 0.0}, r"^converters\.gain must be above 0, not 0\.0$"),
    ],
)
def test_errors_that_cannot_be(errors, message):
    with pytest.raises(CelosiaError, match=message):
        Converters(**errors)
