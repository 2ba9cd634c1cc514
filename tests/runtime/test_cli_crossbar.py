"""`celosia crossbar`: its devices, forming and programming."""

import json

import pytest


def test_devices_are_listed(run):
    status, out, err = run("crossbar")
    assert (status, err) == (0, "")
    assert "hfox-radar" in out
    status, out, err = run("crossbar", "--json")
    assert (status, err) == (0, "")
    assert {"name": "sonos", "title": "SONOS charge-trap memory, 0-16 uS", "low_us": 0.0,
            "high_us": 16.0} in json.loads(out)["devices"]  # fmt: skip


@pytest.mark.parametrize("scheme", ["ispp", "coarse-fine"])
def test_program(run, scheme):
    arguments = ["crossbar", "program", "--preset", "hfox-radar", "--cells", "4096", "--bits", "2",
                 "--scheme", scheme, "--seed", "3"]  # fmt: skip
    status, out, err = run(*arguments, "--json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert 0.94 <= report["converged"] <= 0.985
    low, high = (15, 30) if scheme == "ispp" else (6, 12)
    assert low <= report["pulses_mean"] <= high
    assert report["pulses_median"] <= report["pulses_mean"] <= report["pulses_p95"]
    assert [level["cells"] for level in report["levels"]] == [1024] * 4
    assert report["results"]["converged"] == round(4096 * report["converged"])
    assert (report["scheme"], report["device"], report["seed"]) == (scheme, "hfox-radar", 3)
    assert json.loads(run(*arguments, "--json")[1]) == report
    status, out, err = run(*arguments)
    assert (status, err) == (0, "")
    assert f"{report['converged']:.2%} of 4,096 cells converged" in out
    assert "107.4-117.5" in out
    assert f"results: converged {report['results']['converged']:,}, " in out


def test_programming_a_passive_array_on_resistive_lines(run):
    asked = ["crossbar", "program", "--preset", "ideal", "--bits", "4", "--cells", "100"]
    found = {}
    for biasing in ("transistor", "half", "third"):
        status, out, err = run(*asked, "--biasing", biasing, "--json")
        assert (status, err) == (0, "")
        found[biasing] = json.loads(out)
        assert found[biasing]["converged"] == 1.0
    assert found["transistor"]["kept"] == found["third"]["kept"] == 1.0
    assert found["half"]["kept"] < 0.95
    status, out, err = run(*asked, "--biasing", "half")
    assert f"converged, {found['half']['kept']:.2%} are in their window in the end" in out
    # Its cells are taken one after the other, so that fewer are taken unless told otherwise.
    formed = json.loads(
        run("crossbar", "form", "--preset", "ideal", "--biasing", "third", "--json")[1]
    )
    assert formed["cells"] == 256


def test_programming_through_resistive_lines(run):
    """What is read through them is less than what is there: cells end above their windows."""
    asked = ["crossbar", "program", "--preset", "hfox-neurram", "--bits", "4", "--cells", "128"]
    means = []
    for ohm in ("0", "1"):
        status, out, err = run(*asked, "--line-resistance", ohm, "--json")
        assert (status, err) == (0, "")
        report = json.loads(out)
        assert report["converged"] > 0.9
        means.append(report["levels"][12]["mean_us"])
    # All 128 cells of a row load its line, and their columns have 256 ohm.
    assert 1.05 * means[0] < means[1] < 1.3 * means[0]
    assert report["kept"] < 0.5
    asked = ["crossbar", "form", "--cells", "256", "--line-resistance", "1", "--json"]
    status, out, err = run(*asked)
    assert (status, err) == (0, "")
    assert json.loads(out)["formed"] > 0.99


def test_form(run):
    status, out, err = run("crossbar", "form", "--cells", "1024", "--json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["device"] == "hfox-radar"
    assert 3.05 <= report["voltage_mean"] <= 3.2
    status, out, err = run("crossbar", "form", "--preset", "sky130", "--cells", "1024")
    assert (status, err) == (0, "")
    assert "of 1,024 cells formed, at 2.6" in out
    assert "unformed" in out


def test_a_device_of_ones_own_and_pictures(run, tmp_path):
    pytest.importorskip("matplotlib", reason="draws histograms: pip install 'celosia[plots]'")
    device = tmp_path / "mine.toml"
    device.write_text('base = "ideal"\n[window]\nhigh_us = 25.0\n')
    for command in ("program", "form"):
        plot = tmp_path / f"{command}.png"
        arguments = ["--device", device, "--cells", "64", "--plot", plot, "--json"]
        status, out, err = run("crossbar", command, *arguments)
        assert (status, err) == (0, "")
        assert json.loads(out)["device"] == "mine"
        assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["program", "--preset", "spin"],
            "preset must be one of hfox-neurram, hfox-radar, ideal, ",
        ),
        (["program", "--scheme", "fast"], "scheme must be one of ispp, coarse-fine, not 'fast'"),
        (
            ["program", "--biasing", "quarter"],
            "biasing must be one of transistor, half, third, not 'quarter'",
        ),
        (
            ["form", "--floating-reads"],
            "floating_reads must be false with biasing 'transistor': only the lines of passive",
        ),
        (
            ["program", "--line-resistance", "-1"],
            "row resistance must be 0 ohm or more, not -1.0",
        ),
        (
            ["program", "--biasing", "half", "--cells", "32768"],
            "cells in a passive array must be from 1 to 16384, not 32768",
        ),
        (["program", "--bits", "3"], "bits must be 1, 2 or 4, not 3"),
        (["program", "--cells", "0"], "cells must be from 1 to 1048576, not 0"),
        (["program", "--step-mv", "1"], "step must be from 5 to 1000 mV, not 1"),
        (["program", "--plot", "a.svg"], "plot must be a .png file, not 'a.svg'"),
        (["form", "--device", "no.toml"], "can't read device 'no.toml': No such file or directory"),
        (
            ["form", "--device", "no.toml", "--preset", "ideal"],
            "device must be given by --preset or by --device, not by both",
        ),
        (
            ["program", "--preset", "pcm", "--scheme", "coarse-fine"],
            "device pcm must have ramps for coarse_fine to use that scheme",
        ),
        (
            ["program", "--preset", "sky130", "--bits", "4"],
            "4 bits must leave levels of sky130 furt",
        ),
    ],
)
def test_mistakes_end_in_a_sentence(run, arguments, sentence):
    status, out, err = run("crossbar", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1


def test_cells_that_cannot_form(run, tmp_path):
    device = tmp_path / "stubborn.toml"
    device.write_text('base = "hfox-radar"\n[forming]\nfailing = 1\n')
    status, out, err = run("crossbar", "form", "--device", device, "--cells", "16")
    assert (status, out) == (2, "")
    assert err == "error: the form ramp of stubborn must be able to form at least one cell\n"
