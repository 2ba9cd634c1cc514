"""A device's ramps and windows as settings."""

from itertools import pairwise

import numpy as np
import pytest

from celosia.golden.crossbar.commands import Scheme
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.load import PRESETS, device_from_mapping, load_device
from celosia.golden.crossbar.physics import CellFrontEnd
from celosia.golden.crossbar.programming import Programmer, region
from celosia.golden.crossbar.recipe import level_windows, limits_for, settings_for
from celosia.golden.crossbar.settings import Ramp, RampField, Setting
from celosia.golden.errors import CelosiaError

RADAR = load_device("hfox-radar")


def config_for(device, cell_bits=2, adc_bits=12, **sizes):
    return CrossbarConfig(
        **{"rows": 16, "outputs": 2, "spares": 0, "adcs": 1, **limits_for(device), **sizes},
        cell_bits=cell_bits,
        adc_bits=adc_bits,
    )


def test_volts_and_seconds_become_codes():
    settings = settings_for(RADAR, config_for(RADAR), Scheme.STEP)
    assert list(dict(settings.ramps[Ramp.SET].values()).values()) == [
        360,
        700,
        8,
        400,
        400,
        0,
        20,
        0,
    ]
    assert settings.ramps[Ramp.FORM].line_stop == 800
    assert settings.ramps[Ramp.FORM].width == 100
    assert settings.scalars[Setting.END_PULSES] == 200
    # 5.77-6.01 k of 272 uS in 12 bits
    assert (settings.windows[2].write_low, settings.windows[2].write_high) == (2506, 2609)
    assert (settings.windows[0].write_low, settings.windows[3].write_high) == (0, 4095)


def test_the_step_can_be_chosen():
    for scheme in Scheme:
        settings = settings_for(RADAR, config_for(RADAR), scheme, 0.15)
        assert settings.ramps[Ramp.SET].word_line_step == 30
    assert dict(settings.ramps[Ramp.SET_FINE].values())[RampField.WORD_LINE_STEP] == 6
    for step_v, shown in [(0.004, "4"), (1.01, "1010"), (float("nan"), "nan")]:
        with pytest.raises(CelosiaError, match=rf"^step must be from 5 to 1000 mV, not {shown}$"):
            settings_for(RADAR, config_for(RADAR), Scheme.STEP, step_v)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_recipe_within_its_limits(name):
    device = load_device(name)
    settings = settings_for(device, config_for(device, 1), Scheme.STEP)
    limits = limits_for(device)
    for ramp in settings.ramps.values():
        assert ramp.word_line_stop <= limits["max_word_line"]
        assert ramp.line_stop <= limits["max_line"]


def test_what_a_recipe_cannot_be():
    narrow = {"max_word_line": 600}
    with pytest.raises(
        CelosiaError, match=r"^gate_v of set of hfox-radar must stop at 3 V, the con"
    ):
        settings_for(RADAR, config_for(RADAR, **narrow), Scheme.STEP)
    with pytest.raises(
        CelosiaError, match=r"^line_v of form of hfox-radar must stop at 2\.5 V, the"
    ):
        settings_for(RADAR, config_for(RADAR, max_line=500), Scheme.STEP)
    long = device_from_mapping({"base": "hfox-radar", "form": {"width_s": 1e-3}})
    with pytest.raises(
        CelosiaError,
        match=r"^width_s of form of hfox-radar must be from 1e-08 to 2\.55e-06 s, not 0",
    ):
        settings_for(long, config_for(RADAR), Scheme.STEP)
    pcm = load_device("pcm")
    with pytest.raises(
        CelosiaError, match=r"^device pcm must have ramps for coarse_fine to use that"
    ):
        settings_for(pcm, config_for(pcm), Scheme.COARSE_FINE)
    with pytest.raises(
        CelosiaError, match=r"^adc_bits must be enough for a code between 166\.39 and"
    ):
        level_windows(RADAR, config_for(RADAR, adc_bits=4))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_eight_bits_of_converter_tell_levels_apart(name, bits):
    if (name, bits) == ("sky130", 4):
        return  # its cells are for storage
    device = load_device(name)
    windows = level_windows(device, config_for(device, bits, adc_bits=8))
    for below, above in pairwise(windows):
        assert below.read_high < above.read_low


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_ideal_device_takes_every_level(bits):
    ideal = load_device("ideal")
    config = config_for(ideal, bits, adc_bits=8)
    front_end = CellFrontEnd(config, ideal, 1)
    rows, columns = region(0, 16, 0, config.columns)
    levels = np.arange(len(rows)) % config.levels
    programmer = Programmer(front_end, config, settings_for(ideal, config, Scheme.STEP))
    assert (programmer.form(0, rows, columns).result == 0).all()
    assert (programmer.program(0, rows, columns, levels).result == 0).all()
    found = front_end.cells.conductances(front_end.numbers(0, rows, columns))
    np.testing.assert_allclose(found, levels * 30.0 / (config.levels - 1))
