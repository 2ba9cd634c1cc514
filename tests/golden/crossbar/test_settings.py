"""The table of settings."""

import pytest

from celosia.golden.crossbar.settings import (
    ADDRESS_BITS,
    RAMP_BASE,
    SCALARS,
    VALUE_BITS,
    WINDOW_BASE,
    LevelWindow,
    Ramp,
    RampSettings,
    Setting,
    Settings,
)
from celosia.golden.errors import CelosiaError

FULL = Settings(windows=(LevelWindow(),) * 16)


def test_every_setting_has_an_address_of_its_own():
    addresses = [address for address, _ in FULL.writes()]
    assert len(addresses) == len(set(addresses)) == len(Setting) + 5 * 8 + 16 * 4
    assert max(addresses) < 1 << ADDRESS_BITS
    assert len(Setting) <= RAMP_BASE


def test_every_value_after_reset_fits():
    assert set(SCALARS) == set(Setting)
    for width, reset in SCALARS.values():
        assert 0 <= reset < 1 << width <= 1 << VALUE_BITS


def test_writes_name_fields_in_order():
    writes = dict(
        Settings(
            scalars={Setting.CONFIRMS: 3},
            ramps={Ramp.RESET: RampSettings(word_line_start=10, line_step=4, line_first=True)},
            windows=(LevelWindow(), LevelWindow(read_low=5, write_high=9)),
        ).writes()
    )
    assert writes[Setting.CONFIRMS] == 3
    assert writes[Setting.MAXIMUM_PULSES] == 500
    reset = RAMP_BASE + 8 * Ramp.RESET
    assert [writes[reset + k] for k in range(8)] == [10, 0, 0, 0, 0, 4, 0, 1]
    assert [writes[WINDOW_BASE + 4 + k] for k in range(4)] == [5, 0, 0, 9]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scalars": {Setting.CONFIRMS: 16}}, "confirms must be an integer from 0 to 15, not 16"),
        (
            {"scalars": {Setting.READ_SHIFT: 5}},
            "read_shift must be an integer from 0 to 4, not 5",
        ),
        (
            {"scalars": {Setting.CALIBRATION_AVERAGE: 7}},
            "calibration_average must be an integer from 0 to 6, not 7",
        ),
        (
            {"ramps": {Ramp.SET: RampSettings(line_stop=1024)}},
            "line_stop of ramp set must be an integer from 0 to 1023, not 1024",
        ),
        (
            {"ramps": {Ramp.FORM: RampSettings(width="1")}},
            "width of ramp form must be an integer from 0 to 255, not '1'",
        ),
        (
            {"windows": (LevelWindow(write_low=-1),)},
            "write_low of level 0 must be an integer from 0 to 4095, not -1",
        ),
        ({"windows": (LevelWindow(),) * 17}, "windows must be at most 16, not 17"),
    ],
)
def test_refusals(values, message):
    with pytest.raises(CelosiaError) as caught:
        Settings(**values)
    assert str(caught.value) == message
