"""`celosia run` on the golden device, and every command on damaged files."""

import json
import re

import numpy as np
import pytest
from support.damage import FOREIGN, mutated, truncated
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.program_file import encode_program
from celosia.golden.config import PRESETS
from celosia.golden.memory_map import Counter
from celosia.runtime import run as running
from celosia.runtime.cli import main
from celosia.runtime.device import Inference
from celosia.runtime.golden_device import GoldenDevice
from celosia.runtime.models import embedded_data
from celosia.runtime.picture import COLOURS
from celosia.runtime.waits import MEANINGS

SEED = 5
OWN = "--overlap, --engine, --place, --crossbar and --mapping must be left out for"
DIGITS = embedded_data("digits_int8.tflite")
KEYS = {
    *("outputs_match", "mismatches", "samples", "cycles_per_inference", "macs", "utilisation"),
    *("layers", "wall_s", "build_s", "sim_cycles_per_s", "batch", "cycles", "cycles_source"),
}


def celosia(capsys, *arguments):
    """Exit status, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return end.value.code, printed.out, printed.err


def test_json_has_the_agreed_keys(capsys):
    status, out, _ = celosia(capsys, "run", "digits", "--json")
    report = json.loads(out)
    assert status == 0
    assert report.keys() >= KEYS
    assert report["outputs_match"]
    assert (report["mismatches"], report["samples"], report["macs"]) == (0, 1, 1_387_904)
    assert report["cycles_source"] == "model"
    assert report["cycles_per_inference"] == sum(layer["cycles"] for layer in report["layers"])
    assert report["layers"][0].keys() >= {"name", "op", "engine", "cycles", "macs", "utilisation"}


def test_every_cycle_of_the_array_has_its_reason(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = celosia(capsys, "run", "digits")
    assert "cycles are modelled" in out
    first, table = out.split("What the array did")
    assert max(map(len, out.splitlines())) <= 80
    cycles = re.search(r"whole network .*?([\d,]+) +[\d.]+%$", first, re.MULTILINE)[1]
    (row,) = (line for line in table.splitlines() if line.startswith("whole network"))
    numbers = [int(n.replace(",", "")) for n in row.split()[2:]]
    assert sum(numbers) == int(cycles.replace(",", ""))
    assert "dependency: waiting for the previous layer" in " ".join(out.split())
    assert set(MEANINGS) == {c for c in Counter if c.name.startswith("MATRIX_")} == set(COLOURS)


def test_samples_come_from_a_file_and_outputs_go_to_one(capsys, tmp_path):
    with np.load("runtime/celosia/runtime/data/digits_heldout.npz") as held_out:
        np.save(tmp_path / "x.npy", held_out["x"][:5])
        labels = held_out["y"][:5]
    y = tmp_path / "y.npy"
    arguments = ("--inputs", tmp_path / "x.npy", "--outputs", y, "--json")
    status, out, _ = celosia(capsys, "run", "digits", *arguments)
    assert (status, json.loads(out)["samples"]) == (0, 5)
    np.testing.assert_array_equal(np.load(y).argmax(axis=1), labels)


def test_batches_are_filled_in_order_and_padded(capsys, tmp_path):
    with np.load("runtime/celosia/runtime/data/digits_heldout.npz") as held_out:
        np.save(tmp_path / "x.npy", held_out["x"][:5])
    paths = ("--inputs", tmp_path / "x.npy", "--outputs", tmp_path / "y.npy")
    found = []
    for batch in ("1", "2", "4"):
        arguments = (*paths, "--config", "npu16x16", "--batch", batch, "--json")
        status, out, _ = celosia(capsys, "run", "digits", *arguments)
        report = json.loads(out)
        assert (status, report["samples"], report["batch"]) == (0, 5, int(batch))
        assert (report["mismatches"], report["macs"]) == (0, 1_387_904)
        found.append(np.load(tmp_path / "y.npy"))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_program_file_has_its_batch(capsys, tmp_path):
    program = tmp_path / "digits.cel"
    options = ("-o", program, "--config", "npu8x8", "--batch", "2")
    status, out, _ = celosia(capsys, "compile", "digits", *options)
    assert (status, "2,775,808 MACs" in out, "cycles (modelled) for 2 inferences" in out) == (
        0,
        True,
        True,
    )
    status, out, _ = celosia(capsys, "inspect", program)
    assert (status, "cycles (modelled) for 2 inferences" in " ".join(out.split())) == (0, True)
    status, out, _ = celosia(capsys, "run", program)
    assert status == 0
    assert "one run makes 2 inferences" in out
    assert "2 samples of digits" in out


def test_entries_take_turns(capsys, tmp_path):
    with np.load("runtime/celosia/runtime/data/digits_heldout.npz") as held_out:
        np.save(tmp_path / "x.npy", held_out["x"][:5])
    program = tmp_path / "digits.cel"
    assert celosia(capsys, "compile", "digits", "-o", program, "--overlap")[0] == 0
    status, out, _ = celosia(capsys, "inspect", program)
    assert (status, "and once more" in " ".join(out.split())) == (0, True)
    for arguments in (("digits", "--overlap"), (program,)):
        status, out, _ = celosia(
            capsys, "run", *arguments, "--inputs", tmp_path / "x.npy", "--json"
        )
        report = json.loads(out)
        assert (status, report["samples"], report["mismatches"]) == (0, 5, 0)
        assert report["transfers"] == "overlapping"


def test_transfers_that_cannot_overlap_are_told(capsys, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text('base = "npu8x8"\nscratchpad_kib = 10\n')
    arguments = ("--overlap", "--config", config)
    sentence = "transfers don't overlap with computation: memory doesn't hold inputs, outputs"
    status, out, _ = celosia(capsys, "run", "digits", *arguments)
    assert (status, sentence in " ".join(out.split())) == (0, True)
    status, out, _ = celosia(capsys, "run", "digits", *arguments, "--json")
    assert (status, json.loads(out)["transfers"]) == (0, "serial")
    status, out, _ = celosia(capsys, "compile", "digits", "-o", tmp_path / "d.cel", *arguments)
    assert (status, sentence in " ".join(out.split())) == (0, True)


def test_a_program_file_runs_like_its_model(capsys, tmp_path):
    program = tmp_path / "digits.cel"
    assert celosia(capsys, "compile", "digits", "-o", program, "--config", "npu4x4")[0] == 0
    status, out, _ = celosia(capsys, "run", program, "--json")
    assert (status, json.loads(out)["config"]) == (0, "npu4x4")
    status, _, err = celosia(capsys, "run", program, "--config", "npu8x8")
    assert status == 2
    assert OWN in " ".join(err.split())
    for options in (
        *(("--batch", "1"), ("--overlap",), ("--engine", "crossbar"), ("--place", "a=b")),
        *(("--crossbar", "ideal"), ("--mapping", "offset")),
    ):
        status, _, err = celosia(capsys, "run", program, *options)
        assert status == 2
        assert OWN in " ".join(err.split())


@pytest.mark.parametrize("options", [("--config", "npu4x4"), ("--rounding", "tflm")])
@pytest.mark.parametrize("command", ["stimulus", "energy"])
def test_a_program_has_its_own_for_other_commands_too(command, options, capsys, tmp_path):
    program, output = tmp_path / "digits.cel", tmp_path / "out"
    assert celosia(capsys, "compile", "digits", "-o", program, "--config", "npu4x4")[0] == 0
    extra = ("-o", output) if command == "stimulus" else ()
    status, out, err = celosia(capsys, command, program, *extra, *options)
    assert (status, out) == (2, "")
    assert "--config and --rounding must be left out for" in err
    assert not output.exists()
    status, out, _ = celosia(capsys, command, program, *extra, "--json")
    assert status == 0
    assert "npu4x4" in out


def test_a_differing_byte_ends_in_status_1(capsys, monkeypatch):
    class Wrong(GoldenDevice):
        def run(self, inputs):
            flipped = [[~read for read in inference.reads] for inference in super().run(inputs)]
            return [Inference(reads) for reads in flipped]

    monkeypatch.setattr(running, "GoldenDevice", Wrong)
    status, out, _ = celosia(capsys, "run", "digits", "--json")
    report = json.loads(out)
    assert status == 1
    assert not report["outputs_match"]
    assert report["mismatches"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.tflite"], "model must be a .tflite, .onnx or .cel file or 'digits', and 'none"),
        (["digits", "--device", "fpga"], "device must be one of golden, rtl, board, not 'fpga'"),
        (["digits", "--waves", "f.fst"], "waves need --device rtl"),
        (["digits", "--rounding", "up"], "rounding profile must be one of tflm, litert, "),
        (["digits", "--config", "npu4x4", "--rounding", "single"], "rounding profile must be one "),
        (["digits", "--config", "npu5"], "configuration must be one of npu4x4, npu8x8, npu16x16"),
        (["digits", "--batch", "0"], "batch must be at least 1, not 0"),
        (["digits", "--batch", "99999"], "batch of model 'digits' must be at most "),
        (["digits", "--inputs", "none.npy"], "can't read inputs 'none.npy': No such file"),
        (["digits", "--outputs", "no/where.npy"], "can't write 'no/where.npy': No such file"),
    ],
)
def test_mistakes_get_a_sentence(capsys, arguments, message):
    status, out, err = celosia(capsys, "run", *arguments)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 28, 28, 1), np.float32), "must be int8, not the float32 of"),
        (np.zeros((2, 28, 28), np.int8), "must have shape (n, 28, 28, 1) for n samples, not"),
        (np.zeros((0, 28, 28, 1), np.int8), "must hold at least one sample, not none"),
    ],
)
def test_inputs_that_do_not_fit_get_a_sentence(capsys, tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    status, _, err = celosia(capsys, "run", "digits", "--inputs", tmp_path / "x.npy")
    assert status == 2
    assert message in err


def test_floats_that_are_no_numbers_get_a_sentence(capsys, tmp_path):
    model = ModelBuilder(1)
    x = model.unary("QUANTIZE", model.input((1, 4), dtype="float32"), 0.1, 0)
    (tmp_path / "m.tflite").write_bytes(model.finish(model.fully_connected(x, 2)))
    np.save(tmp_path / "x.npy", np.array([[1, 2, np.nan, 3]], np.float32))
    status, _, err = celosia(capsys, "run", tmp_path / "m.tflite", "--inputs", tmp_path / "x.npy")
    assert status == 2
    assert "input 't0' must hold finite numbers, without NaN" in err


def test_a_scalar_output_is_one_number_for_each_sample(capsys, tmp_path):
    model = ModelBuilder(1)
    y = model.fully_connected(model.input((1, 4)), 1)
    (tmp_path / "m.tflite").write_bytes(model.finish(model.reshape(y, ())))
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.int8))
    paths = (tmp_path / "m.tflite", "--inputs", tmp_path / "x.npy", "--outputs", tmp_path / "y.npy")
    assert celosia(capsys, "run", *paths)[0] == 0
    assert np.load(tmp_path / "y.npy").shape == (3,)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"hello", b"\x80\x04."])
def test_inputs_that_are_no_arrays_get_a_sentence(capsys, tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    status, _, err = celosia(capsys, "run", "digits", "--inputs", tmp_path / "x.npy")
    assert status == 2
    assert "inputs" in err


def damaged(content, count):
    """Foreign, changed and cut files."""
    rng = np.random.default_rng(SEED)
    yield from FOREIGN.values()
    for index in range(count):
        yield (truncated if index % 2 else mutated)(content, rng)


PROGRAM = encode_program(compile_model(DIGITS, PRESETS["npu4x4"]))


@pytest.mark.parametrize("command", ["run", "compile", "inspect"])
@pytest.mark.parametrize("content", [DIGITS, PROGRAM], ids=["model", "program"])
def test_damaged_files_get_one_sentence_and_leave_nothing(capsys, tmp_path, command, content):
    refused = 0
    for number, bad in enumerate(damaged(content, 220)):
        path = tmp_path / "damaged"
        path.write_bytes(bad)
        out = tmp_path / "out"
        options = {"run": ["--outputs", out], "compile": ["-o", out], "inspect": []}[command]
        status, printed, err = celosia(capsys, command, path, *options)
        if status in (0, 1):  # what was changed may not matter, or only to the outputs
            out.unlink(missing_ok=True)
            continue
        refused += 1
        assert status == 2, (SEED, number, err)
        assert printed == ""
        assert re.fullmatch(r"error: [^\n]+\n", err), (SEED, number, err)
        assert "Traceback" not in err
        assert sorted(p.name for p in tmp_path.iterdir()) == ["damaged"], (SEED, number)
    assert refused >= 100
