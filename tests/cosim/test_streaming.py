"""Networks in pieces in RTL: the referee's bytes, and cycles of the network's own layers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.crossbar import calibrated, chosen_layers, planned
from celosia.compiler.importer import load_tflite
from celosia.compiler.streaming import compile_network
from celosia.golden.config import PRESETS
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import IDEAL
from celosia.golden.link.identity import board_identity
from celosia.runtime.cli import main
from celosia.runtime.crossbar.tiles import TileOptions, program_tiles
from celosia.runtime.streaming import StreamedDevice, run_streamed
from celosia.sim.host_script import HostScript
from celosia.sim.live_npu import live_npu
from celosia.sim.npu_simulation import NpuSimulation

TINY = replace(
    PRESETS["npu4x4"],
    name="tiny",
    scratchpad_kib=3,
    weight_kib=8,
    crossbar=CrossbarConfig(
        tiles=32,
        rows=32,
        outputs=4,
        spares=0,
        adcs=16,
        # Noise that each product draws by its number.
        emulator=replace(IDEAL, product_spread=800, noise_fraction=4),
    ),
)


def network():
    """Expansion, 5 x 5 depthwise, projection and residual sum; pool, products."""
    model = ModelBuilder(7)
    x = model.conv(model.input((1, 25, 14, 3)), 8, (3, 3), stride=(2, 2), activation="RELU6")
    y = model.conv(x, 24, (1, 1), activation="RELU6")
    y = model.conv(model.depthwise(y, (5, 5), activation="RELU6"), 8, (1, 1))
    z = model.depthwise(model.add(x, y), (3, 3), stride=(2, 2))
    units = model.fully_connected(model.pool(z, "AVERAGE", model.shape(z)[1:3]), 60)
    return model.finish(model.fully_connected(units, 150), z)


@pytest.mark.parametrize("batch", [1, 2])
def test_pieces_equal_the_referee_and_count_their_cycles(batch):
    data = network()
    graph = load_tflite(data)
    streamed = compile_network(graph, TINY, batch=batch)
    assert len(streamed.pieces) > 5
    device = StreamedDevice(streamed, "rtl", range(len(streamed.pieces)))
    seed = 5
    print(f"seed {seed}")
    samples = np.random.default_rng(seed).integers(-128, 128, (3, 1, 25, 14, 3), dtype=np.int8)
    result = run_streamed(graph, streamed, device, "rtl", [[x] for x in samples])
    assert result.report.mismatches == 0
    referee = Referee(data)
    for index, sample in enumerate(samples):
        for got, want in zip(result.outputs, referee.run([sample], 2), strict=True):
            np.testing.assert_array_equal(got[index], want[0])
    report = result.report
    assert all(layer.cycles for layer in report.layers)
    assert report.cycles == sum(layer.cycles for layer in report.layers)
    assert report.cycles_per_inference == -(-report.cycles // batch)
    assert report.host_bytes.weights > TINY.weight_kib * 1024


def test_some_pieces_run_in_rtl_and_the_others_on_the_golden_machine(capsys, tmp_path):
    (tmp_path / "tiny.toml").write_text(
        'base = "npu4x4"\nname = "tiny"\nscratchpad_kib = 3\nweight_kib = 8\n'
    )
    (tmp_path / "m.tflite").write_bytes(network())
    waves = tmp_path / "w.fst"
    options = ("--device", "rtl", "--config", tmp_path / "tiny.toml", "--pieces", "1")
    with pytest.raises(SystemExit) as end:
        main(["run", *map(str, (tmp_path / "m.tflite", *options, "--waves", waves)), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert end.value.code == 0
    assert report["outputs_match"]
    assert report["sim_cycles_per_s"] > 0
    assert waves.stat().st_size > 1000


class LiveLink:
    """A link to a simulated NPU without a wire between."""

    def __init__(self, npu):
        self._npu = npu

    def connect(self):
        return board_identity(TINY, "0.1.0", bytes(32))

    def read(self, address, count):
        script = HostScript(TINY)
        place = script.read_words(address, count)
        for _ in range(200 if count == 1 else 0):
            script.read_state()  # whoever asks again and again wants time to pass
        return self._npu.play(script).answers[place]

    def write(self, address, words):
        script = HostScript(TINY)
        script.write_words(address, words)
        self._npu.play(script)


def crossbar_run(batch, count, *, wrong=None, pieces=None, link=None, **options):
    """A network whose convolutions are on the crossbar, in RTL beside the golden machine."""
    model = ModelBuilder(9)
    x = model.conv(model.input((1, 64, 16, 3)), 8, (3, 3), stride=(2, 2), activation="RELU")
    x = model.depthwise(model.conv(x, 8, (3, 3), activation="RELU"), (3, 3))
    graph = load_tflite(model.finish(model.fully_connected(model.pool(x, "MAX", (16, 8)), 6)))
    chosen = chosen_layers(graph, "crossbar", ())
    streamed = compile_network(graph, TINY, batch=batch, crossbar=chosen)
    seed = 6
    print(f"seed {seed}")
    samples = np.random.default_rng(seed).integers(-128, 128, (count, 1, 64, 16, 3), dtype=np.int8)
    ranges = [[np.concatenate(samples[:batch])]]
    streamed = planned(calibrated(streamed, ranges), "ideal")
    assert len(streamed.pieces) > 3
    assert sum(len(p.tile_layers) for p in streamed.programs) > len(streamed.crossbar)
    tiles = program_tiles(streamed, TileOptions(**options))
    if wrong is not None:
        wrong(tiles)
    some = range(len(streamed.pieces)) if pieces is None else pieces
    where = "rtl" if link is None else "board"
    device = StreamedDevice(streamed, where, some, link=link, programmed=tiles)
    return run_streamed(graph, streamed, device, where, [[x] for x in samples], tiles).report


@pytest.mark.parametrize("batch", [1, 2])
def test_pieces_share_tiles_that_are_programmed_once(batch):
    """Counters of products go on from piece to piece, as the golden machine's do."""
    report = crossbar_run(batch, 2 * batch - 1, programming="commands", calibrate=True)
    assert report.outputs_match
    assert (report.mismatches, report.crossbar.differing_words) == (0, 0)
    assert {layer.engine for layer in report.layers if layer.op == "CONV_2D"} == {"crossbar"}
    assert report.crossbar.results == {"converged": report.crossbar.cells}
    assert report.crossbar.products > 500
    assert report.crossbar.programming_cycles > 100_000


def test_some_pieces_have_tiles_of_their_own():
    """What the device counts are its pieces' products only."""
    report = crossbar_run(1, 1, pieces=range(1, 2))
    assert report.outputs_match
    assert report.cycles_source == "mixed"
    assert 0 < report.crossbar.products < crossbar_run(1, 1).crossbar.products


def test_wrong_conductances_are_found():
    def wrong(tiles):
        tiles.written[0, :, 0] = 900

    report = crossbar_run(1, 1, wrong=wrong)
    assert not report.outputs_match
    assert report.mismatches > 0


def test_a_board_is_programmed_once_too():
    with live_npu(NpuSimulation(TINY)) as npu:
        report = crossbar_run(1, 1, link=LiveLink(npu))
    assert report.outputs_match
    assert (report.cycles_source, report.crossbar.differing_words) == ("board", 0)
    assert report.crossbar.programming_cycles is None
