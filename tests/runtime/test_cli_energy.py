"""`celosia energy`: engines and processors side by side."""

import json

import pytest


def test_engines_and_processors_side_by_side(run, tmp_path):
    picture = tmp_path / "roofline.png"
    status, out, err = run("energy", "digits", "--roofline", picture, "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert [design["title"] for design in report["designs"]] == ["systolic array", "crossbar"]
    for design in report["designs"]:
        assert design["cycles"] == sum(layer["cycles"] for layer in design["layers"])
        assert design["ms"] == pytest.approx(design["cycles"] / 100e3)
        parts = sum(sum(layer["uj"].values()) for layer in design["layers"])
        assert design["uj"] == pytest.approx(parts)
    systolic, crossbar = report["designs"]
    # What costs most on a crossbar are its converters, as ISAAC's authors found.
    counted = {key: sum(x["uj"][key] for x in crossbar["layers"]) for key in report["costs"]}
    assert max(counted, key=counted.get) == "conversion"
    assert sum(x["uj"]["conversion"] for x in systolic["layers"]) == 0
    assert [chip["scaled"] for chip in report["processors"]] == [True] * 3
    assert report["costs"]["mac"]["source"].startswith("M. Horowitz")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_published_networks_stand_beside_their_own_results(run, models_dir):
    status, out, _ = run(
        "energy", models_dir / "kws_dscnn_int8.tflite", "--clock-mhz", "50", "--json"
    )
    report = json.loads(out)
    assert (status, report["benchmark"]) == (0, "keyword spotting")
    assert [chip["uj"] for chip in report["processors"]] == [7374, 1376, 26.7]
    assert not any(chip["scaled"] for chip in report["processors"])


def test_the_crossbar_has_a_roof_of_its_own(run, tmp_path):
    """512 multiply-accumulates of a tile in 8 bits of 26 cycles, and 2; no layer is above it."""
    picture = tmp_path / "roof.png"
    report = json.loads(run("energy", "digits", "--roofline", picture, "--json")[1])
    systolic, crossbar = report["designs"]
    assert (systolic["peak"], crossbar["peak"]) == (64, pytest.approx(64 * 8 / (8 * 26 + 2)))
    reached = [layer["macs_per_cycle"] for layer in crossbar["layers"] if layer["macs"]]
    assert 0.5 * crossbar["peak"] < max(reached) <= crossbar["peak"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_tables_for_people(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = run("energy", "digits", "--config", "npu4x4")
    assert status == 0
    for title in (
        "On the systolic array",
        "On the crossbar",
        "Side by side",
        "What an event costs",
    ):
        assert title in out


@pytest.mark.parametrize("clock", ["0", "-5", "nan"])
def test_clocks_that_are_none(run, clock):
    status, _, err = run("energy", "digits", "--clock-mhz", clock)
    assert status == 2
    assert err.startswith("error: --clock-mhz must be above 0, not ")
