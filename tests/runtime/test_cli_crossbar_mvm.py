"""`celosia crossbar mvm`: one product on one tile, beside the exact one."""

import json

import numpy as np
import pytest


def mvm(run, *arguments):
    status, out, err = run("crossbar", "mvm", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_an_ideal_tile_multiplies_exactly(run):
    report = mvm(run, "--preset", "ideal", "--seed", "4")
    exact = np.array(report["exact"])
    assert exact.shape == (100, 8)
    assert np.abs(exact).max() > 100_000
    assert report["found"] == report["exact"]
    assert (report["error_rms"], report["error_relative"], report["error_largest"]) == (0, 0, 0)
    assert (report["columns"], report["conversions"]) == (32, 100 * 8 * 32)
    assert mvm(run, "--preset", "ideal", "--seed", "5")["exact"] != report["exact"]


def test_errors_are_those_of_what_causes_them(run):
    report = mvm(run)
    again = mvm(run)
    assert report == again
    found, exact = np.array(report["found"]), np.array(report["exact"])
    assert report["error_rms"] == pytest.approx(np.sqrt(((found - exact) ** 2).mean()))
    assert report["error_relative"] == pytest.approx(
        report["error_rms"] / np.sqrt((exact.astype(float) ** 2).mean())
    )
    assert report["quantisation_relative"] < 0.01 < 0.05 < report["error_relative"] < 0.2
    assert mvm(run, "--raw")["error_relative"] > 1.5 * report["error_relative"]
    assert mvm(run, "--adc-bits", "5")["quantisation_relative"] > 0.1
    dropped = mvm(run, "--preset", "ideal", "--line-resistance", "20", "--raw", "--adc-bits", "12")
    corrected = mvm(run, "--preset", "ideal", "--line-resistance", "20", "--adc-bits", "12")
    assert dropped["quantisation_relative"] == 0 < dropped["error_relative"]
    assert corrected["error_relative"] < 0.3 * dropped["error_relative"]
    old, young = (mvm(run, "--preset", "pcm", "--raw", "--seconds", s) for s in ("1e7", "1"))
    assert old["error_relative"] > 2 * young["error_relative"]


def test_offset_columns_take_half_the_cells_and_a_reference(run):
    report = mvm(run, "--preset", "ideal", "--mapping", "offset", "--adc-bits", "10")
    assert report["columns"] == 8 * 2 + 2
    assert report["mapping"] == "offset"
    assert report["found"] == report["exact"]
    differential = mvm(run, "--preset", "ideal", "--adc-bits", "7")
    offset = mvm(run, "--preset", "ideal", "--mapping", "offset", "--adc-bits", "7")
    assert offset["error_relative"] > 1.3 * differential["error_relative"]


def test_a_device_brings_its_lines_and_converters(run, tmp_path):
    file = tmp_path / "mine.toml"
    tables = "[lines]\nrow = 20.0\ncolumn = 20.0\n[converters]\noffset = 9.0\ngain = 0.9\n"
    file.write_text(f'base = "ideal"\n{tables}')
    found = {
        how: mvm(run, "--device", file, "--adc-bits", "12", how) for how in ("--raw", "--calibrate")
    }
    assert found["--raw"]["line_ohm"] == 20.0
    assert found["--calibrate"]["error_relative"] < 0.2 * found["--raw"]["error_relative"]
    other = mvm(run, "--device", file, "--adc-bits", "12", "--raw", "--line-resistance", "0")
    assert other["line_ohm"] == 0
    assert other["found"] != found["--raw"]["found"]


def test_sizes(run):
    report = mvm(run, "--rows", "16", "--outputs", "2", "--cell-bits", "1", "--vectors", "3")
    assert np.array(report["exact"]).shape == (3, 2)
    assert report["columns"] == 2 * 16


def test_a_person_reads_a_table_and_sees_a_picture(run, tmp_path):
    pytest.importorskip("matplotlib", reason="draws sums: pip install 'celosia[plots]'")
    picture = tmp_path / "product.png"
    report = mvm(run, "-o", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    status, out, err = run("crossbar", "mvm", "--raw")
    assert (status, err) == (0, "")
    raw = mvm(run, "--raw")
    assert f"{raw['exact'][0][0]:,}" in out
    assert f"which is {raw['error_relative']:.2%} of the exact sums' rms" in out
    assert "8-bit converters, not calibrated, 1 s after programming, lines of 0 ohm" in out
    assert f"{report['error_rms']:,.0f}" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "spin"], "preset must be one of hfox-neurram, "),
        (["--preset", "ideal", "--device", "a.toml"], "device must be given by --preset or by --d"),
        (["--device", "no.toml"], "can't read device 'no.toml': No such file or directory"),
        (["--rows", "48"], "rows must be a power of two, not 48"),
        (["--rows", "512"], "rows must be an integer from 4 to 256, not 512"),
        (["--outputs", "0"], "outputs must be an integer from 1 to 64, not 0"),
        (["--cell-bits", "3"], "cell_bits must divide the 8 bits of a weight, not be 3"),
        (["--mapping", "left"], "mapping must be differential or offset, not 'left'"),
        (["--adc-bits", "13"], "adc_bits must be an integer from 4 to 12, not 13"),
        (["--line-resistance", "-1"], "line resistance must be from 0 to 1e+06 ohm, not -1"),
        (["--line-resistance", "nan"], "line resistance must be from 0 to 1e+06 ohm, not nan"),
        (["--seconds", "1e10"], "time must be from 0 to 1e+09 s, not 1e+10"),
        (["--vectors", "0"], "vectors must be from 1 to 10000, not 0"),
        (["-o", "a.svg"], "plot must be a .png file, not 'a.svg'"),
        (["-o", "missing/a.png"], "can't write 'missing/a.png': No such file or directory"),
        (["--seed", "x"], "invalid value for '--seed': Input should be a valid integer"),
    ],
)
def test_mistakes_end_in_a_sentence(run, arguments, sentence):
    status, out, err = run("crossbar", "mvm", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1
