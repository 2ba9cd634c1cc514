"""Networks with layers on crossbar tiles, in RTL: the golden machine's bytes, and exact ones."""

import json

import numpy as np
import pytest

from celosia.runtime.cli import main
from celosia.runtime.crossbar.tiles import TileOptions, program_tiles
from celosia.runtime.models import embedded_data
from celosia.runtime.run import open_device, run_program
from celosia.runtime.session import Placement, open_session

SLACK = 0.005
"""What an ideal crossbar with calibrated 8-bit converters may lose against int8."""


@pytest.fixture(scope="module")
def digits():
    from io import BytesIO

    with np.load(BytesIO(embedded_data("digits_heldout.npz"))) as data:
        return data["x"], data["y"]


def run(digits, where, count, device="ideal", mapping=None, **options):
    x, y = digits
    placement = Placement(engine="crossbar", device=device, mapping=mapping)
    session = open_session("digits", "npu8x8", None, placement=placement)
    session.open(where, tiles=TileOptions(**options))
    result = session.run([[image[None]] for image in x[:count]])
    right = (result.outputs[0].reshape(count, -1).argmax(axis=1) == y[:count]).mean()
    return result.report, float(right)


def accuracy_of_int8(digits, count):
    x, y = digits
    session = open_session("digits", "npu8x8", None)
    session.open("golden")
    outputs = session.run([[image[None]] for image in x[:count]]).outputs[0]
    return float((outputs.reshape(count, -1).argmax(axis=1) == y[:count]).mean())


def test_digits_on_the_crossbar_in_rtl(digits):
    count = 8
    report, right = run(digits, "rtl", count)
    assert report.mismatches == 0
    assert report.crossbar.converged == 1
    assert {layer.engine for layer in report.layers if layer.macs} == {"crossbar"}
    assert right >= accuracy_of_int8(digits, count) - SLACK
    # The model leaves out bits that are issued twice.
    modelled, _ = run(digits, "golden", 1)
    assert abs(modelled.cycles - report.cycles) / report.cycles < 0.02


def test_the_controller_programs_and_calibrates_in_rtl(run_command, tmp_path):
    """Of the head alone: each answer and counter of the hardware is the golden controller's."""
    program = tmp_path / "digits.cel"
    assert run_command("compile", "digits", "--place", "head=crossbar", "-o", program)[0] == 0
    reports = {}
    for device in ("golden", "rtl"):
        status, out, err = run_command(
            "run", program, "--programming", "commands", "--calibrate", "--device", device, "--json"
        )
        assert (status, err) == (0, "")
        reports[device] = json.loads(out)
        assert reports[device]["outputs_match"]
    golden, rtl = (report["crossbar"] for report in reports.values())
    assert golden["programming_cycles"] is None
    assert 100_000 < rtl["programming_cycles"] < 1_000_000
    assert rtl | {"programming_cycles": None} == golden
    assert (rtl["programming"], rtl["differing_words"]) == ("commands", 0)
    assert (rtl["cells"], rtl["results"]) == (2048, {"converged": 2048})
    assert (rtl["calibrated"], rtl["uncalibrated"], rtl["pulses"] > 2048) == (64, 0, True)


def test_tiles_that_are_programmed_otherwise_are_found():
    """What the hardware answers is held to the golden controller's answers word by word."""
    session = open_session("digits", "npu8x8", None, placement=Placement(places=("head=crossbar",)))
    program = session.program
    tiles = program_tiles(program, TileOptions(programming="commands"))
    tiles.answers[7] ^= 1
    device = open_device("rtl", program, tiles=tiles)
    report = run_program(program, device, "rtl", session.samples(None), tiles).report
    assert (report.mismatches, report.outputs_match) == (0, False)
    assert report.crossbar.differing_words == 1


@pytest.fixture
def run_command(capsys):
    return lambda *arguments: cli(capsys, *arguments)


@pytest.mark.parametrize(
    "size",
    [
        # The first layer on a small NPU, and the last one with all of its inputs.
        ("npu4x4", "tiles = 8\nrows = 16", ("--place", "stem=crossbar"), 768),
        pytest.param(
            ("npu8x8", "tiles = 4", ("--place", "head=crossbar"), 2048), marks=pytest.mark.slow
        ),
    ],
)
def test_cells_that_are_not_ideal_are_programmed_by_the_controller_in_rtl(
    run_command, tmp_path, size
):
    """Each answer, counter and sum of the hardware is the golden twin's, noise and faults too."""
    base, sizes, placed, cells = size
    file = tmp_path / "neurram.toml"
    outputs = int(base[-1])
    file.write_text(
        f'base = "{base}"\n[crossbar]\n{sizes}\noutputs = {outputs}\nspares = 0\n'
        '[crossbar.emulator]\ndevice = "hfox-neurram"\nseed = 5\nstuck_low = 1000\n'
    )
    reports = {}
    for device in ("golden", "rtl"):
        status, out, err = run_command(
            *("run", "digits", "--config", file, *placed, "--programming", "commands"),
            *("--calibrate", "--device", device, "--json"),
        )
        assert (status, err) == (0, "")
        reports[device] = json.loads(out)
        assert reports[device]["outputs_match"]
    golden, rtl = (report["crossbar"] for report in reports.values())
    assert rtl["cells"] == cells
    assert rtl["programming_cycles"] > 100 * cells
    assert rtl | {"programming_cycles": None} == golden | {
        name: rtl[name] for name in ("products", "reissues", "saturations")
    }
    assert (rtl["device"], rtl["differing_words"]) == ("hfox-neurram", 0)
    assert 0.95 < rtl["converged"] < 1
    assert rtl["differing_bytes"] > 0


@pytest.mark.slow
def test_all_layers_programmed_by_the_controller_in_rtl(digits):
    report, _ = run(digits, "rtl", 1, programming="commands", calibrate=True)
    assert report.outputs_match
    assert report.crossbar.results == {"converged": 76_800}
    assert report.crossbar.calibrated == 52 * 32


def test_batches_and_transfers_that_overlap_in_rtl(capsys):
    """Of the head alone, so that it doesn't take long."""
    status, out, err = cli(
        capsys, "run", "digits", "--place", "head=crossbar", "--batch", "2", "--overlap",
        "--device", "rtl", "--json"
    )  # fmt: skip
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["outputs_match"]
    assert (report["batch"], report["transfers"]) == (2, "overlapping")
    assert report["crossbar"]["tiles"] == 2


@pytest.mark.slow
def test_200_digits_on_the_crossbar_in_rtl(digits):
    report, right = run(digits, "rtl", 200)
    assert report.mismatches == 0
    assert right >= accuracy_of_int8(digits, 200) - SLACK


@pytest.mark.parametrize("where", ["golden", pytest.param("rtl", marks=pytest.mark.slow)])
def test_offset_columns(digits, where):
    """Half the cells and a reference; 8 bits round its larger sums."""
    report, _ = run(digits, where, 2, mapping="offset")
    assert report.mismatches == 0
    assert report.crossbar.cells == 52 * 64 * 20
    assert report.crossbar.converged == 1
    assert report.crossbar.agreement == 1


@pytest.mark.parametrize("where", ["golden", pytest.param("rtl", marks=pytest.mark.slow)])
def test_other_cells_in_the_emulator(digits, where):
    """Conductances of a filamentary device, programmed and relaxed, change the sums."""
    report, _ = run(digits, where, 2, device="hfox-neurram")
    assert report.mismatches == 0
    assert report.crossbar.converged > 0.99
    assert report.crossbar.differing_bytes > 0


def test_resnet8_with_a_layer_on_the_crossbar(capsys, models_dir):
    model = models_dir / "ic_resnet8_int8.tflite"
    layers = json.loads(cli(capsys, "run", model, "--json")[1])["layers"]
    name = next(layer["name"] for layer in layers[2:] if layer["op"] == "CONV_2D")
    status, out, err = cli(
        capsys, "run", model, "--place", f"{name}=crossbar", "--device", "rtl", "--json"
    )
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["outputs_match"]
    assert [x["engine"] for x in report["layers"]].count("crossbar") == 1


def cli(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return ended.value.code, streams.out, streams.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "magic"], "engine must be systolic or crossbar, not 'magic'"),
        (["--place", "left"], "--place must be LAYER=systolic or LAYER=crossbar, not 'left'"),
        (
            ["--place", "no=crossbar"],
            "layer must be one of stem, left, right, widen, last, head, not",
        ),
        (
            ["--place", "max=crossbar"],
            "layer 'max' (MAX_POOL_2D) must be a convolution or a matrix product to be placed",
        ),
        (["--engine", "crossbar", "--crossbar", "no"], "device must be one of "),
        (
            ["--engine", "crossbar", "--mapping", "left"],
            "mapping must be differential or offset, not 'left'",
        ),
        (["--engine", "crossbar", "--front-end", "no"], "front end must be emulator or physics"),
        (["--programming", "no"], "programming must be direct or commands, not 'no'"),
        (
            ["--engine", "crossbar", "--crossbar", "hfox-neurram", "--programming", "commands"],
            "--programming must be direct for hfox-neurram in an emulator of ideal cells: a",
        ),
        (
            ["--engine", "crossbar", "--front-end", "physics", "--device", "rtl"],
            "--front-end physics needs --device golden: it isn't in hardware",
        ),
        (
            ["--engine", "crossbar", "--crossbar", "sky130"],
            "bits must leave levels of sky130 further apart",
        ),
    ],
)
def test_mistakes_get_a_sentence(capsys, arguments, message):
    status, _, err = cli(capsys, "run", "digits", *arguments)
    assert status == 2
    assert message in err


def test_a_configuration_with_a_crossbar_says_how_it_is_mapped(capsys, tmp_path):
    """With 12-bit converters no sum is rounded: every byte is that of exact int8."""
    sizes = {"tiles": 64, "rows": 64, "outputs": 8, "adc_bits": 12, "adcs": 10}
    table = "\n".join(f"{name} = {value}" for name, value in sizes.items())
    file = tmp_path / "mine.toml"
    file.write_text(f'base = "npu8x8"\n[crossbar]\nmapping = "offset"\n{table}\n')
    asked = ("run", "digits", "--engine", "crossbar", "--config", file, "--front-end", "physics")
    status, out, err = cli(capsys, *asked, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["crossbar"]["differing_bytes"] == 0
    status, _, err = cli(capsys, *asked, "--mapping", "differential")
    assert status == 2
    assert "--mapping must be left out: mine has a crossbar of its own, mapped offset" in err


def test_a_configuration_says_what_its_emulated_cells_are(capsys, tmp_path):
    """Through the back door too: they are programmed on the twin before."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'base = "npu8x8"\n[crossbar]\ntiles = 2\n[crossbar.emulator]\ndevice = "sonos"\n'
        "stuck_high = 3000\nunformed = 1\n"
    )
    asked = ("run", "digits", "--place", "head=crossbar", "--config", file)
    status, out, err = cli(capsys, *asked, "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)["crossbar"]
    assert report["device"] == "sonos"
    # Nobody forms cells in a run.
    assert set(report["results"]) <= {"converged", "end_of_ramp", "stuck_low", "stuck_high"}
    status, _, err = cli(capsys, *asked, "--crossbar", "ideal")
    assert status == 2
    assert (
        "--crossbar must be left out: mine has an emulator of its own, with cells of sonos" in err
    )


def test_converters_and_lines_of_a_device_are_calibrated_away(capsys, tmp_path):
    """On the physics, where each column is calibrated; the emulator has no such errors."""
    file = tmp_path / "real.toml"
    errors = "offset = 10.0\noffset_spread = 2.0\ngain_spread = 0.03\nnoise = 0.2\n"
    file.write_text(f'base = "ideal"\n[lines]\nrow = 1.0\n[converters]\n{errors}')
    asked = ("run", "digits", "--place", "head=crossbar", "--crossbar", file)
    status, out, err = cli(capsys, *asked, "--front-end", "physics", "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)["crossbar"]
    assert report["agreement"] == 1
    status, _, err = cli(capsys, *asked)
    assert status == 2
    assert "real must be used with --front-end physics: the emulator has neither lines with" in err
