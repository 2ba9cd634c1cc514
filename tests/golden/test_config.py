"""The configuration: presets, TOML files, and a sentence for everything that can't be."""

import re
from pathlib import Path

import pytest

from celosia.golden.config import (
    PRESETS,
    config_from_mapping,
    config_to_mapping,
    config_to_toml,
    load_config,
)
from celosia.golden.errors import CelosiaError
from celosia.golden.rounding import RoundingProfile


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_by_name_and_survive_a_round_trip(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    assert config_from_mapping(config_to_mapping(config), default_name="?") == config


def test_a_file_overrides_its_base(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, 'base = "npu4x4"\nweight_kib = 256\nprofiles = ["single"]')
    )
    assert (config.rows, config.weight_kib) == (4, 256)
    assert config.profiles == (RoundingProfile.SINGLE,)
    assert config.name == "mine"


def test_a_file_without_base_gives_everything(tmp_path: Path) -> None:
    text = """
        name = "odd"
        rows = 6
        columns = 10
        scratchpad_kib = 64
        weight_kib = 64
        accumulator_depth = 128
        requantizer_lanes = 3
        profiles = ["tflm"]
    """
    config = load_config(write(tmp_path, text))
    assert (config.tile_vectors, config.tile_slices, config.macs) == (1, 1, 60)
    assert config.scratchpad_depth == 10922


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows = 8", "a value must be given for accumulator_depth, columns, profiles, "),
        ('base = "npu8x8"\nrow = 4', "key must be one of accumulator_depth, "),
        ('base = "npu8x8"\nrow = 4', "not 'row' (did you mean rows?)"),
        ("base = []", "base must be one of npu4x4, npu8x8, npu16x16, not []"),
        ('base = "npu9x9"', "base must be one of npu4x4, npu8x8, npu16x16, not 'npu9x9'"),
        ('base = "npu8x8"\nrows = 3', "rows must be an integer from 4 to 64, not 3"),
        ('base = "npu8x8"\nrows = true', "rows must be an integer from 4 to 64, not True"),
        ('base = "npu8x8"\nrows = "8"', "rows must be an integer from 4 to 64, not '8'"),
        ('base = "npu8x8"\nname = ""', "name must be a non-empty string, not ''"),
        (
            'base = "npu8x8"\nrequantizer_lanes = 3',
            "requantizer_lanes must divide rows (8), not be 3",
        ),
        (
            'base = "npu8x8"\ndepthwise_taps = 9',
            "depthwise_taps must be an integer from 0 to 8, not 9",
        ),
        (
            'base = "npu4x4"\nrequantizer_bits = 2',
            "requantizer_bits must be one of 1, 4, 8, 16, 32, not 2",
        ),
        (
            'base = "npu4x4"\nrequantizer_bits = "8"',
            "requantizer_bits must be one of 1, 4, 8, 16, 32, not '8'",
        ),
        (
            'base = "npu8x8"\nrequantizer_bits = 8',
            "requantizer_bits must be 32 for profiles that multiply in float, not 8",
        ),
        (
            'base = "npu4x4"\ncoordinate_bits = 7',
            "coordinate_bits must be an integer from 8 to 16, not 7",
        ),
        (
            'base = "npu4x4"\nrequantizer_bits = 1\nrequantizer_lanes = 1\nprofiles = ["tflm"]',
            "requantizer_bits must be more than 1 with several requantizer_lanes, or with "
            "vector_operations",
        ),
        (
            'base = "npu4x4"\nrequantizer_bits = 1\nrequantizer_lanes = 2\nprofiles = ["tflm"]\n'
            "vector_operations = false",
            "requantizer_bits must be more than 1 with several requantizer_lanes, or with ",
        ),
        (
            'base = "npu4x4"\nvector_operations = 0',
            "vector_operations must be true or false, not 0",
        ),
        (
            'base = "npu4x4"\nreadable_sums = "no"',
            "readable_sums must be true or false, not 'no'",
        ),
        (
            'base = "npu8x8"\naccumulator_depth = 9',
            "accumulator_depth must be even to be filled and drained in halves, not 9",
        ),
        (
            'base = "npu8x8"\nprofiles = ["tfl"]',
            "profiles must be some of tflm, litert, single, float32, not 'tfl'",
        ),
        (
            'base = "npu8x8"\nprofiles = "tflm"',
            "profiles must be a list of some of tflm, litert, single, float32, not 'tflm'",
        ),
        (
            'base = "npu8x8"\nrows = 64\ncolumns = 64\nweight_kib = 4',
            "weight_kib must hold at least one instruction, tile and parameter record "
            "(77 vectors of 64 bytes), not 64 vectors",
        ),
        ("rows = = 3", "must be a TOML file"),
    ],
)
def test_what_cannot_be_gets_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CelosiaError, match=re.escape(message)):
        load_config(write(tmp_path, text))


def test_an_unknown_name_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CelosiaError, match=r"or a \.toml file, not 'npu5x5'$"):
        load_config("npu5x5")
    with pytest.raises(CelosiaError, match=r"can't read configuration .*: No such file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    "crossbar", [None, {"tiles": 2}, {"emulator": {"device": "sonos", "seed": 5, "set_on": 7}}]
)
def test_files_are_read_back(name, crossbar, tmp_path):
    config = PRESETS[name]
    if crossbar is not None:
        config = config_from_mapping(
            {"base": name, "crossbar": {"outputs": config.columns, **crossbar}},
            default_name="tiled",
        )
    path = tmp_path / "written.toml"
    path.write_text(config_to_toml(config))
    assert load_config(path) == config
