"""`celosia verilog` and `celosia stimulus`: files, reports and refusals."""

import json

import pytest
from support.tflite_writer import ModelBuilder

from celosia.golden.bus_window import window_address, window_bytes
from celosia.golden.config import load_config
from celosia.golden.memory_map import IDENTITY, REGION_SHIFT, Region, memory_geometry

CROSSBAR = 'base = "npu4x4"\n[crossbar]\nrows = 8\noutputs = 4\n'
HUGE = 'base = "npu4x4"\nname = "tight"\nscratchpad_kib = 1\nweight_kib = 8\n'


@pytest.fixture
def model(tmp_path):
    builder = ModelBuilder(seed=2)
    x = builder.conv(builder.input((1, 4, 4, 3)), 5)
    path = tmp_path / "net.tflite"
    path.write_bytes(builder.finish(builder.fully_connected(x, 3)))
    return path


def test_verilog_writes_a_core_beside_it(run, tmp_path):
    path = tmp_path / "npu: 1.v"
    words = ["verilog", "--config", "npu4x4", "-o", path, "--json"]
    report = json.loads(run(*words)[1])
    assert report["core"] == str(path.with_suffix(".core"))
    text = path.with_suffix(".core").read_text()
    assert text.startswith("CAPI=2:\n")
    assert '- "npu: 1.v"\n' in text
    assert "window_bytes" not in report


@pytest.mark.parametrize(
    ("top", "module", "port"),
    [
        ("crossbar", "celosia_crossbar", "port__word_line"),
        ("crossbar-pins", "celosia_crossbar_pins", "pins__dac_sync_n"),
    ],
)
def test_crossbar_tops(run, tmp_path, top, module, port):
    (tmp_path / "xbar.toml").write_text(CROSSBAR)
    path = tmp_path / "xbar.v"
    words = ["verilog", "--config", tmp_path / "xbar.toml", "--top", top, "-o", path]
    assert f"module {module} for xbar" in run(*words)[1]
    ports = path.read_text().partition(f"module {module}(")[2].partition(")")[0].split(", ")
    assert port in ports


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["-o", "x.v", "--top", "cpu"],
            "--top must be npu, wishbone, crossbar, crossbar-pins, not 'cpu'",
        ),
        (["-o", "x.core"], "--output must be a file named *.v, not 'x.core'"),
        (
            ["-o", "x.v", "--config", "npu4x4", "--top", "crossbar"],
            "config must have a crossbar for its controller to be written, and npu4x4 has none: "
            "give a TOML file with a table [crossbar]",
        ),
    ],
)
def test_verilog_refuses(run, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    status, out, err = run("verilog", *words)
    assert (status, out) == (2, "")
    assert sentence in " ".join(err.split())
    assert not list(tmp_path.iterdir())


def test_stimulus(run, model, tmp_path):
    texts = {}
    for top in ("npu", "wishbone"):
        path = tmp_path / f"{top}.txt"
        words = ["stimulus", model, "--config", "npu4x4", "--top", top, "-o", path]
        report = json.loads(run(*words, "--json")[1])
        texts[top] = [line.split() for line in path.read_text().splitlines()]
        assert report["accesses"] == len(texts[top])
        assert report["samples"] == 1
        assert report["words_checked"] == sum(kind == "r" for kind, *_ in texts[top]) > 1
    config = load_config("npu4x4")
    for (kind, address, data), folded in zip(texts["npu"], texts["wishbone"], strict=True):
        assert folded == [kind, f"{window_address(config, int(address, 16)):08x}", data]
    assert texts["npu"][0] == ["r", "00000000", f"{IDENTITY:08x}"]


@pytest.mark.parametrize("config", ["npu4x4", "npu8x8", "npu16x16"])
def test_windows_keep_every_vector_apart(config):
    config = load_config(config)
    places = []
    for region in (Region.SCRATCHPAD, Region.WEIGHTS, Region.ACCUMULATORS, Region.PROFILE):
        geometry = memory_geometry(config, region)
        ends = geometry.address(0), geometry.address(geometry.depth - 1)
        places += [window_address(config, address) for address in ends]
    registers_end = window_address(config, (1 << 8) - 4)
    assert [registers_end, *places] == sorted({registers_end, *places})
    assert window_address(config, Region.CROSSBAR << REGION_SHIFT) < window_bytes(config)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--top", "crossbar"], "--top must be npu or wishbone, not 'crossbar'"),
        (
            ["--config", "tight.toml"],
            "model must fit in the NPU's memories in one piece, and 'large' takes",
        ),
    ],
)
def test_stimulus_refuses(run, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tight.toml").write_text(HUGE)
    builder = ModelBuilder(seed=3)
    x = builder.conv(builder.conv(builder.input((1, 12, 12, 8)), 24), 24)
    (tmp_path / "large.tflite").write_bytes(builder.finish(x))
    status, out, err = run("stimulus", "large.tflite", "-o", "x.txt", *words)
    assert (status, out) == (2, "")
    assert sentence in " ".join(err.split())
    assert not (tmp_path / "x.txt").exists()


def test_stimulus_refuses_programs_with_tiles(run, model, tmp_path):
    program = tmp_path / "tiles.cel"
    words = ["--config", "npu4x4", "--engine", "crossbar"]
    assert run("compile", model, "-o", program, *words)[0] == 0
    status, out, err = run("stimulus", program, "-o", tmp_path / "x.txt")
    assert (status, out) == (2, "")
    assert "model must have all layers on the systolic array" in " ".join(err.split())
    assert not (tmp_path / "x.txt").exists()
