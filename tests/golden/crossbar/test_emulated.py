"""Devices in the emulator: its integers for them, and cells that do what theirs do."""

from dataclasses import replace

import numpy as np
import pytest

from celosia.golden.config import config_from_mapping, load_config
from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulated import emulator_for, unit_of
from celosia.golden.crossbar.emulation import IDEAL, EmulatorConfig
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.programming import Programmer, region
from celosia.golden.crossbar.recipe import limits_for, settings_for
from celosia.golden.errors import CelosiaError

SEED = 12


def sizes_for(device: Device, **sizes) -> CrossbarConfig:
    return CrossbarConfig(**{"outputs": 4, "spares": 0, **limits_for(device), **sizes})


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


def test_the_ideal_device_is_the_default():
    device = load_device("ideal")
    assert emulator_for(device, CrossbarConfig()) == IDEAL
    # 17 codes for a level are those of 8-bit converters.
    fine = emulator_for(device, CrossbarConfig(adc_bits=12))
    assert fine.cell_gain == round(4095 / 15 / 64 * 4096)


@pytest.mark.parametrize(
    ("name", "bits", "least", "pulses"),
    [
        ("ideal", 2, 1.0, (1, 10)),
        ("sonos", 4, 0.99, (3, 20)),
        ("pcm", 4, 0.99, (3, 25)),
        ("hfox-neurram", 4, 0.97, (5, 30)),
        ("hfox-radar", 4, 0.9, (5, 40)),
    ],
)
def test_a_devices_own_ramps_program_its_emulated_cells(rng, name, bits, least, pulses):
    """About as often, and with as many pulses, as those of the model."""
    device = load_device(name)
    config = sizes_for(device, cell_bits=bits, adcs=4)
    twin = EmulatorTwin(config, emulator_for(device, config))
    programmer = Programmer(twin, config, settings_for(device, config, Scheme.STEP))
    rows, columns = region(0, config.rows, 0, config.columns)
    levels = rng.integers(0, config.levels, len(rows))
    found = programmer.program(0, rows, columns, levels)
    converged = found.result == Result.CONVERGED
    assert converged.mean() >= least
    assert pulses[0] <= found.pulses.mean() <= pulses[1]
    # Conductances are the device's own: windows of its levels, in steps of the emulator.
    low = device.window.low_us / unit_of(device, config)
    errors = twin.conductance[0, rows, columns] - (low + levels * config.level_step)
    assert np.abs(errors[converged]).mean() < config.level_step / 2


@pytest.mark.parametrize("name", ["hfox-neurram", "sonos"])
def test_noise_of_products_is_that_of_the_physics(rng, name):
    """Standard deviations of columns, over products, of the same cells on both; codes are fine
    enough that the converter's rounding doesn't show."""
    device, count = load_device(name), 3000
    config = sizes_for(device, adc_bits=12)
    levels = rng.integers(0, config.levels, (config.rows, config.columns))
    physics = Physics(config, replace(device, faults=type(device.faults)()), SEED)
    physics.cells.formed[:] = True
    physics.cells.programmed[:] = device.window.low_us + levels.ravel() * physics.level_step_us
    twin = EmulatorTwin(config, replace(emulator_for(device, config), stuck_low=0, stuck_high=0))
    low = device.window.low_us / unit_of(device, config)
    twin.conductance[0] = np.rint(low + levels * config.level_step)
    ratios = []
    for share in (0.1, 0.3, 0.8):
        driven = np.repeat((rng.random(config.rows) < share)[None], count, axis=0)
        spreads = []
        for front_end in (twin, physics):
            codes, saturated = front_end.product(0, driven, 4 * GAIN_ONE, np.arange(count))
            assert not saturated.any()
            spreads.append(codes.std(axis=0))
        ratios.append(spreads[0] / spreads[1])
    print(np.mean(ratios, axis=1))
    # The emulator's root of a sum is a power of two: within a factor of root 2 of any one.
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1, abs=0.15)
    assert np.max(np.abs(np.log2(ratios))) < 1


def test_without_fractions_there_would_be_no_noise_of_products():
    device = load_device("hfox-neurram")
    emulator = emulator_for(device, sizes_for(device))
    spread = emulator.product_spread / (1 << emulator.noise_fraction)
    assert 0.4 < spread < 0.5


def test_a_table_overrides_what_its_device_gives(tmp_path):
    (tmp_path / "mine.toml").write_text('base = "sonos"\n[faults]\nstuck_low = 0.25\n')
    path = tmp_path / "npu.toml"
    path.write_text(
        'base = "npu8x8"\n[crossbar]\ntiles = 2\nmax_line = 700\n'
        '[crossbar.emulator]\ndevice = "mine.toml"\nseed = 9\nset_spread = 3\n'
    )
    crossbar = load_config(path).crossbar
    device = load_device(tmp_path / "mine.toml")
    assert crossbar.emulator == replace(
        emulator_for(device, crossbar), device=str(tmp_path / "mine.toml"), seed=9, set_spread=3
    )
    assert crossbar.emulator.stuck_low == 1 << 14
    limits = limits_for(device)
    assert (crossbar.max_word_line, crossbar.max_line) == (limits["max_word_line"], 700)


def test_numbers_alone_are_those_of_the_ideal_device_otherwise():
    table = {"base": "npu8x8", "crossbar": {"emulator": {"device_spread": 9}}}
    crossbar = config_from_mapping(table, default_name="x").crossbar
    assert crossbar == CrossbarConfig(emulator=EmulatorConfig(device_spread=9))


@pytest.mark.parametrize(
    ("emulator", "message"),
    [
        (3, r"^emulator must be a table of what it does, not 3$"),
        (
            {"set_no": 3},
            r"^key must be one of cell_gain, .* in crossbar.emulator, not 'set_no' "
            r"\(did you mean set_on\?\)$",
        ),
        ({"device": "sonos", "sed": 3}, r"^key must be one of cell_gain, .*, not 'sed'"),
        ({"seed": -1}, r"^seed must be an integer from 0 to 4294967295, not -1$"),
        (
            {"device": "sonos", "set_spread": 256},
            r"^set_spread must be an integer from 0 to 255, not 256$",
        ),
        ({"device": 3}, r"^device must be a non-empty string, not 3$"),
        ({"device": ""}, r"^device must be a non-empty string, not ''$"),
        ({"device": "no"}, r"^device must be one of hfox-neurram, .* or a \.toml file, not 'no'$"),
        (
            {"device": "sky130"},
            r"^low_us of the emulator's device must be at most 6\.56 % of its window, and sky130 "
            r"has 10 uS$",
        ),
    ],
)
def test_emulators_that_cannot_be(emulator, message):
    table = {"base": "npu8x8", "crossbar": {"emulator": emulator}}
    with pytest.raises(CelosiaError, match=message):
        config_from_mapping(table, default_name="x")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "[lines]\nrow = 1.0\n",
            r"device of the emulator must have ideal lines and converters, and mine hasn't$",
        ),
        (
            "[converters]\noffset = 1.0\n",
            r"device of the emulator must have ideal lines and converters, and mine hasn't$",
        ),
        (
            'biasing = "half"\n',
            r"device of the emulator must be an array with transistors, and mine isn't$",
        ),
        (
            "[direct]\ngate_high_v = 1.25\n",
            r"mine in the emulator: set_slope must be an integer from 0 to 65535, not \d+$",
        ),
        (
            "[direct]\ngate_low_v = 5.2\ngate_high_v = 6.0\n",
            r"SET ramp of the emulator's device must take cells through its window, and mine's "
            r"doesn't$",
        ),
    ],
)
def test_devices_that_cannot_be_emulated(table, message, tmp_path):
    (tmp_path / "mine.toml").write_text(f'base = "ideal"\n{table}')
    path = tmp_path / "npu.toml"
    path.write_text('base = "npu8x8"\n[crossbar.emulator]\ndevice = "mine.toml"\n')
    with pytest.raises(CelosiaError, match=f"^configuration '.*': {message}"):
        load_config(path)
