"""Networks in pieces from the command line."""

import json
import re

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder

TINY = 'base = "npu4x4"\nscratchpad_kib = 2\nweight_kib = 6\n'


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def model(tmp_path):
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 24, 12, 3)), 8, (3, 3), activation="RELU")
    y = model.add(x, model.depthwise(x, (3, 3)))
    path = tmp_path / "network.tflite"
    path.write_bytes(model.finish(model.softmax(model.fully_connected(model.mean(y), 5))))
    return path


@pytest.fixture
def program(run, model, tiny, tmp_path):
    path = tmp_path / "network.cel"
    assert run("compile", model, "-o", path, "--config", tiny)[0] == 0
    return path


def test_run_reports_pieces_bytes_and_layers_of_the_network(run, model, tiny, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(1).integers(-128, 128, (3, 24, 12, 3), "i1"))
    options = ("--config", tiny, "--inputs", tmp_path / "x.npy", "--outputs", tmp_path / "y.npy")
    status, out, _ = run("run", model, *options, "--json")
    report = json.loads(out)
    assert status == 0
    assert (report["outputs_match"], report["samples"]) == (True, 3)
    assert report["pieces"] > 3
    assert all(report["host_bytes"][key] > 0 for key in ("weights", "inputs", "outputs"))
    operators = ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"]
    assert [layer["op"] for layer in report["layers"]] == operators
    assert report["macs"] == sum(layer["macs"] for layer in report["layers"])
    assert np.load(tmp_path / "y.npy").shape == (3, 5)
    status, out, _ = run("run", model, "--config", tiny)
    assert f"runs in {report['pieces']} pieces" in " ".join(out.split())


def test_a_network_in_one_piece_says_so(run):
    report = json.loads(run("run", "digits", "--json")[1])
    assert report["pieces"] == 1
    assert report["host_bytes"]["outputs"] == 16


def test_compile_and_inspect_show_the_pieces(run, model, program, tiny, tmp_path):
    status, out, _ = run("compile", model, "-o", tmp_path / "n.cel", "--config", tiny, "--json")
    compiled = json.loads(out)
    assert status == 0
    assert (tmp_path / "n.cel").read_bytes() == program.read_bytes()
    inspected = json.loads(run("inspect", program, "--json")[1])
    assert inspected["steps"] == compiled["steps"]
    pieces = [step for step in inspected["steps"] if "program" in step]
    assert len(pieces) == inspected["pieces"]
    assert inspected["steps"][-1] == {"host": ["SOFTMAX"]}
    assert inspected["cycles"] == sum(piece["cycles"] for piece in pieces)
    out = run("inspect", program)[1]
    for text in ("Layers", "Pieces", "weight memory", "part of the output", "SOFTMAX"):
        assert text in out
    assert "Pieces" not in run("inspect", program, "--layers")[1]


def test_inspect_shows_the_program_of_a_piece(run, program):
    out = run("inspect", program, "--piece", 1)[1]
    for text in ("Layers", "Scratchpad over time", "Instructions", "MATRIX_LOOP"):
        assert text in out
    assert run("inspect", program, "--piece", 1, "--disassembly")[1].rstrip().endswith("HALT")
    assert "listing" in json.loads(run("inspect", program, "--piece", 0, "--json")[1])


def test_a_program_in_pieces_runs(run, program, model, tiny):
    report = json.loads(run("run", program, "--json")[1])
    assert report["outputs_match"]
    assert report["pieces"] == json.loads(run("inspect", program, "--json")[1])["pieces"]


def test_pieces_with_layers_on_the_crossbar(run, tmp_path):
    """One program file, its tiles, a run of it, and energy, all of the network's pieces."""
    config, program = tmp_path / "small.toml", tmp_path / "d.cel"
    config.write_text('base = "npu8x8"\nname = "small"\nscratchpad_kib = 4\n')
    options = ("--config", config, "--json")
    compiled = json.loads(
        run("compile", "digits", "-o", program, "--engine", "crossbar", *options)[1]
    )
    assert compiled["pieces"] > 1
    tiles = compiled["crossbar"]["tiles"]
    layers = [layer["name"] for layer in compiled["layers"] if layer["engine"] == "crossbar"]
    assert {tile["layer"] for tile in tiles} == set(layers)
    assert json.loads(run("inspect", program, "--json")[1])["crossbar"] == compiled["crossbar"]
    assert "Crossbar tiles" in run("inspect", program)[1]
    out = run("inspect", program, "--tiles")[1]
    assert f"{len(tiles)} of {compiled['crossbar']['available']} crossbar tiles" in out
    assert "Pieces" not in out
    own = json.loads(run("inspect", program, "--piece", 1, "--json")[1])["crossbar"]["tiles"]
    assert 0 < len(own) < len(tiles)
    assert own == [tile for tile in tiles if tile["tile"] in {each["tile"] for each in own}]
    report = json.loads(run("run", program, "--json")[1])
    assert (report["outputs_match"], report["pieces"]) == (True, compiled["pieces"])
    assert report["crossbar"]["tiles"] == len(tiles)
    direct = json.loads(run("run", "digits", "--engine", "crossbar", *options)[1])
    assert direct["crossbar"] == report["crossbar"] | {
        key: direct["crossbar"][key] for key in ("differing_bytes", "output_bytes", "agreement")
    }
    energy = json.loads(run("energy", "digits", *options)[1])
    conversions = [layer["events"]["conversion"] for layer in energy["designs"][1]["layers"]]
    assert sum(conversions) == report["crossbar"]["products"] * 8 * 36


def test_mistakes_get_a_sentence(run, program, model, tiny, tmp_path):
    waves = ("--device", "rtl", "--waves", tmp_path / "w.fst")
    for arguments, message in (
        (
            ("run", program, "--pieces", "3:1"),
            r"pieces must be given as A:B with 0 <= A < B <= \d+",
        ),
        (("run", program, "--pieces", "999"), r"or as one number below \d+, not '999'"),
        (("run", program, "--pieces", "x"), "not 'x'"),
        (("run", program, *waves), r"of the \d+ pieces of 'network', --pieces must name one"),
        (("run", "digits", "--pieces", "0"), "--pieces must be left out: 'digits' fits in one"),
        (("inspect", program, "--memory"), "--piece must name one, from 0 to"),
        (("inspect", program, "--tiles"), "no layer of the program is on the crossbar"),
        (("inspect", program, "--piece", "999"), r"piece must be a number from 0 to \d+, not 999"),
        (
            ("bench", model, "--config", tiny, "--only", "simulation"),
            "model must fit in one piece to time its simulation, and .* takes",
        ),
    ):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert re.search(message, " ".join(err.split())), err
    assert not (tmp_path / "w.fst").exists()


def test_the_piece_of_a_network_in_one_piece(run, tmp_path):
    run("compile", "digits", "-o", tmp_path / "d.cel")
    status, _, err = run("inspect", tmp_path / "d.cel", "--piece", "0")
    assert status == 2
    assert "--piece must be left out" in err


def test_what_cannot_be_cut_leaves_nothing(run, tiny, tmp_path):
    model = ModelBuilder(2)
    y = model.fully_connected(model.input((1, 3000)), 5)
    (tmp_path / "m.tflite").write_bytes(model.finish(y))
    options = ("-o", tmp_path / "m.cel", "--config", tiny)
    status, out, err = run("compile", tmp_path / "m.tflite", *options)
    assert (status, out) == (2, "")
    assert "can't be cut small enough for configuration 'tiny'" in err
    assert not (tmp_path / "m.cel").exists()
