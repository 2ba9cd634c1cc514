"""Devices from TOML: presets, files of users, and what is said about those that can't be."""

import re

import pytest

from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS, Converters
from celosia.golden.crossbar.devices.curves import Curve, Shape
from celosia.golden.crossbar.devices.load import PRESETS, device_from_mapping, load_device
from celosia.golden.crossbar.front_end import Biasing
from celosia.golden.errors import CelosiaError


def refusal(table):
    with pytest.raises(CelosiaError) as caught:
        device_from_mapping({"base": "hfox-radar", **table})
    return str(caught.value)


def test_presets_are_these():
    assert PRESETS == ("hfox-neurram", "hfox-radar", "ideal", "pcm", "sky130", "sonos")
    for name in PRESETS:
        assert load_device(name).name == name


def test_windows_are_the_published_ones():
    windows = {name: load_device(name).window for name in PRESETS}
    assert (windows["hfox-neurram"].low_us, windows["hfox-neurram"].high_us) == (1.0, 40.0)
    assert (windows["hfox-radar"].low_us, windows["hfox-radar"].high_us) == (12.0, 240.0)
    assert (windows["sonos"].low_us, windows["sonos"].high_us) == (0.0, 16.0)
    assert (windows["pcm"].low_us, windows["pcm"].high_us) == (0.25, 25.0)


def test_a_device_of_ones_own_starts_from_a_preset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'base = "hfox-neurram"\nprogramming_error = { relative = [1.0] }\n'.replace(
            "relative", "polynomial"
        )
        + "[window]\nhigh_us = 30.0\n"
        "[levels.1]\nlow_us = [0, 20]\nhigh_us = [5, 30]\n"
        "[[relaxation]]\nseconds = 10.0\nsigma = { points = [0, 1, 30, 2] }\n"
    )
    device = load_device(path)
    assert device.name == "mine"
    assert (device.window.low_us, device.window.high_us) == (1.0, 30.0)
    assert device.programming_error == Curve(Shape.POLYNOMIAL, (1.0,))
    assert [entry.seconds for entry in device.relaxation] == [10.0]
    assert device.level_windows(1).low_us == (0.0, 20.0)
    assert device.set == load_device("hfox-neurram").set


def test_equally_spaced_levels():
    levels = load_device("hfox-neurram").level_windows(4)
    assert levels.low_us[:2] == pytest.approx((0.0, 2.6))
    assert levels.high_us[-1] == pytest.approx(41.0)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"base": "mram"}, "base must be one of .*sonos, not 'mram'"),
        ({"law": "magic"}, "law must be one of filament, direct, not 'magic'"),
        ({"law": "direct"}, "a device of law direct must have a table 'direct'"),
        ({"name": ""}, "name must be a non-empty string, not ''"),
        (
            {"windw": {}},
            r"key must be one of .* in a device, not 'windw' \(did you mean window\?\)",
        ),
        ({"window": 3}, "window must be a table, not 3"),
        ({"window": {"high_us": 1.0}}, r"window.high_us must be above 12, not 1.0"),
        ({"window": {"high_us": "many"}}, "window.high_us must be a number from 0 up, not 'many'"),
        ({"window": {"low_us": -1}}, "window.low_us must be a number from 0 up, not -1"),
        ({"window": {"low_us": float("nan")}}, "window.low_us must be a number from 0 up, not nan"),
        ({"window": {"full_scale_us": 20.0}}, r"window.full_scale_us must be at least high_us"),
        ({"set": {"limit": 3}}, r"key must be .* in set, not 'limit' \(did you mean limit_us\?\)"),
        ({"set": {"gate_scale_v": 0}}, "set.gate_scale_v must be above 0, not 0"),
        ({"direct": {"gate_low_v": 1}}, "a value must be given for direct.gate_high_v, "),
        (
            {"read_noise": {"cubic": [1]}},
            "read_noise must be one of polynomial, saturating, points",
        ),
        ({"read_noise": {"points": [1, 2, 1, 3]}}, "points must be pairs with rising conductances"),
        ({"read_noise": {"saturating": [1]}}, "saturating must be a height and a positive scale"),
        ({"read_noise": {"polynomial": []}}, "polynomial must be at least one coefficient"),
        ({"read_noise": {"points": 3}}, "read_noise.points must be a list of numbers, not 3"),
        ({"levels": {"5": {}}}, "levels must be tables 1 to 4 for the bits of a cell, not '5'"),
        (
            {"levels": {"1": {"low_us": [0.0], "high_us": [1.0]}}},
            "levels of 1 bits must have 2 windows, not 1",
        ),
        (
            {"levels": {"1": {"low_us": [0.0], "high_us": [1.0, 2.0]}}},
            "levels must have as many low_us as high_us, not 1 and 2",
        ),
        (
            {"levels": {"1": {"low_us": [0, 1], "high_us": [2, 3]}}},
            "levels must be windows that rise and don't overlap",
        ),
        ({"relaxation": {}}, "relaxation must be a list of tables, not {}"),
        ({"relaxation": [{"seconds": 1.0}]}, "a value must be given for relaxation.sigma"),
        (
            {"relaxation": [{"seconds": s, "sigma": {"polynomial": [1]}} for s in (2, 1)]},
            r"relaxation must be given in the order of its seconds, not \[2, 1\]",
        ),
        (
            {"relaxation": [{"seconds": 0.0, "sigma": {"polynomial": [1]}}]},
            "relaxation.seconds must be above 1e-06, not 0.0",
        ),
        ({"faults": {"stuck_low": 0.7, "stuck_high": 0.7}}, "must be from 0 to 1, not 1.4"),
        ({"forming": {"failing": 2}}, "forming.failing must be from 0 to 1, not 2"),
        ({"endurance": {"cycles": 0}}, "endurance.cycles must be above 0, not 0"),
        ({"conduction": "sinh"}, "sinh_per_v must be above 0, not 0.0"),
        ({"form": {"gate_v": [2, 1, 0]}}, "form: ramp.gate_v must be a start, a stop from there"),
        ({"form": {"line_first": 1}}, "form: ramp.line_first must be true or false, not 1"),
        ({"step": {"maximum_pulses": 1.5}}, "step: recipe.maximum_pulses must be an integer from "),
        (
            {"step": {"set_fine": {}}},
            "step.set_fine: a value must be given for step.set_fine.gate_v, ",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(table, sentence):
    assert re.match(f".*{sentence}", refusal(table)), refusal(table)


def test_fine_ramps_come_together():
    fine = {"gate_v": [1, 2, 0.1], "line_v": [1, 1, 0], "width_s": 1e-7}
    assert refusal({"step": {"set_fine": fine}}) == (
        "step: recipe must have both of set_fine and reset_fine, or none"
    )


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(CelosiaError, match=r"^device must be one of .* or a \.toml file, not 'm'$"):
        load_device("m")
    with pytest.raises(CelosiaError, match=r"^can't read device 'no\.toml': No such file"):
        load_device("no.toml")
    path = tmp_path / "bad.toml"
    path.write_text("base = ")
    with pytest.raises(CelosiaError, match=r"^device '.*bad\.toml' must be a TOML file: "):
        load_device(path)
    path.write_text('base = "mram"')
    with pytest.raises(CelosiaError, match=r"^device '.*bad\.toml': base must be one of "):
        load_device(path)


@pytest.mark.parametrize("bits", [0, 5, "2", True])
def test_bits_are_1_to_4(bits):
    with pytest.raises(CelosiaError, match=r"^bits must be an integer from 1 to 4, not "):
        load_device("ideal").level_windows(bits)


def test_levels_must_not_overlap():
    with pytest.raises(
        CelosiaError,
        match=r"^4 bits must leave levels of sky130 further apart than 12 uS, not 4\.33",
    ):
        load_device("sky130").level_windows(4)


def test_what_cells_are_built_into():
    device = device_from_mapping(
        {
            "base": "hfox-radar",
            "biasing": "third",
            "floating_reads": True,
            "lines": {"driver": 50.0},
            "converters": {"noise": 0.5, "dac_offset_v": 0.01},
        }
    )
    assert device.biasing is Biasing.THIRD
    assert device.floating_reads
    assert device.lines == Lines(row=0.0, column=0.0, driver=50.0)
    assert device.converters == Converters(noise=0.5, dac_offset_v=0.01)
    plain = load_device("hfox-radar")
    assert plain.biasing is Biasing.TRANSISTOR
    assert plain.lines.ideal
    assert plain.converters == IDEAL_CONVERTERS


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"biasing": "quarter"}, "biasing must be one of transistor, half, third, not 'quarter'"),
        ({"biasing": 1}, "biasing must be one of transistor, half, third, not 1"),
        ({"biasing": "half", "floating_reads": 1}, "floating_reads must be true or false, not 1"),
        (
            {"floating_reads": True},
            "floating_reads must be false with biasing 'transistor': only the lines of passive "
            "arrays let current sneak",
        ),
        ({"lines": {"row": "1"}}, "row resistance must be 0 ohm or more, not '1'"),
        ({"lines": 1.0}, "lines must be a table, not 1.0"),
        (
            {"lines": {"rows": 1.0}},
            "key must be one of column, driver, row, sense in lines, not 'rows' "
            "(did you mean row?)",
        ),
        (
            {"converters": {"dac_offset_v": -1}},
            "converters.dac_offset_v must be a number from 0 up, not -1",
        ),
        ({"converters": []}, "converters must be a table, not []"),
    ],
)
def test_arrays_that_cannot_be(table, message):
    assert refusal(table) == message
