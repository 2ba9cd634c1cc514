"""Inferences on crossbar tiles at once: the bytes, and the counts, of the machine's one by one."""

import numpy as np
import pytest
from support.configs import odd_config
from support.layerwise import random_inputs
from support.random_networks import random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.crossbar import chosen_layers, compile_placed
from celosia.compiler.crossbar_batch import CrossbarBatch
from celosia.compiler.golden_run import load_machine, run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.converters import Converters
from celosia.golden.crossbar.devices.load import device_from_mapping
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, plain_correction
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.writing import write_levels
from celosia.golden.errors import CelosiaError
from celosia.golden.machine import AnalogTiles

CONFIG = PRESETS["npu8x8"]
COUNT = 3
NOISY = device_from_mapping(
    {
        "base": "ideal",
        "window": {"low_us": 1.0, "high_us": 31.0, "full_scale_us": 40.0},
        "programming_error": {"polynomial": [0.1, 0.05]},
        "read_noise": {"polynomial": [0.1, 0.05]},
        "faults": {"stuck_low": 0.01, "stuck_high": 0.01},
    }
)
QUIET = device_from_mapping({"base": "ideal", "programming_error": {"polynomial": [0.0, 0.1]}})
CASES = {
    "noise": (NOISY, Converters(offset=3.0, offset_spread=1.0, inl=0.5, noise=0.5), Lines()),
    "no noise": (QUIET, Converters(), Lines(row=0.0, column=0.0)),
}


def network(seed, channels):
    """A strided convolution of an image, a residual, a pool, and a matrix product."""
    model = ModelBuilder(seed)
    x = model.input((1, 9, 8, 3), zero_point=-128)
    a = model.conv(x, channels, (3, 3), stride=(2, 1), activation="RELU")
    b = model.add(a, model.conv(a, channels, (3, 2), dilation=(1, 2)))
    return load_tflite(model.finish(model.fully_connected(model.pool(b, "MAX", (2, 2)), 13)))


def placed(graph, config, places=()):
    chosen = chosen_layers(graph, "crossbar", places)
    return compile_placed(graph, config, None, chosen, (), {}), chosen


def tiles_of(program, case, adc_gain=8192, seed=7):
    """Its tiles on the physics; the gain lets some conversions saturate."""
    sizes = program.config.crossbar
    device, converters, lines = CASES[case]
    physics = Physics(sizes, device, seed, lines=lines, converters=converters)
    write_levels(physics, [levels_of(tile.weights, sizes) for tile in program.crossbar])
    correction = plain_correction(sizes, adc_gain)
    return AnalogTiles(Multiplier(physics, sizes), [correction] * len(program.crossbar))


def assert_equal(graph, program, chosen, case):
    """Outputs, and what was counted, of the machine and of the batch on equal tiles, twice."""
    one, many = tiles_of(program, case), tiles_of(program, case)
    machine = load_machine(program, tiles=one)
    batch = CrossbarBatch(graph, program, chosen, COUNT)
    for seed in (5, 15):
        samples = [random_inputs(program, seed + index) for index in range(COUNT)]
        wanted = [run_on_machine(program, sample, machine) for sample in samples]
        found = batch.run([np.concatenate(values) for values in zip(*samples, strict=True)], many)
        for got, want in zip(found, zip(*wanted, strict=True), strict=True):
            np.testing.assert_array_equal(got, np.concatenate(want))
    assert one.multiplier.telemetry == many.multiplier.telemetry
    return one.multiplier.telemetry


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("config", "channels"),
    [
        (CONFIG, 8),
        (CONFIG, 24),
        (PRESETS["npu4x4"], 8),
        (odd_config(8, 4, 2), 16),
        (odd_config(4, 12, 2), 8),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_machines_bytes(config, channels, case):
    graph = network(3, channels)
    program, chosen = placed(graph, config)
    counts = assert_equal(graph, program, chosen, case)
    assert counts.reissues > 0


def test_one_layer_on_the_crossbar():
    graph = network(4, 16)
    second = graph.tensors[graph.operators[1].outputs[0]].name
    program, chosen = placed(graph, CONFIG, [f"{second}=systolic"])
    assert [layer.engine for layer in program.layers].count("crossbar") == 2
    assert_equal(graph, program, chosen, "noise")


@pytest.mark.parametrize("seed", [12, 31, 36])
def test_random_networks(seed):
    graph = load_tflite(random_network(seed))
    program, chosen = placed(graph, CONFIG)
    assert program.crossbar
    assert_equal(graph, program, chosen, "noise")


def test_a_batch_on_other_tiles_is_found():
    graph = network(3, 8)
    program, chosen = placed(graph, CONFIG)
    sizes = program.config.crossbar
    batch = CrossbarBatch(graph, program, chosen, COUNT)
    sample = np.concatenate([random_inputs(program, seed)[0] for seed in range(COUNT)])
    first = batch.run([sample], tiles_of(program, "noise"))[0]
    again = batch.run([sample], tiles_of(program, "noise"))[0]
    other = batch.run([sample], tiles_of(program, "noise", seed=8))[0]
    later = tiles_of(program, "noise")
    later.multiplier.probe(0, 8192, np.ones((1, sizes.rows), bool))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # Products that have other numbers have other noise.
    assert (first != batch.run([sample], later)[0]).any()


def test_what_it_cannot_drive_is_refused():
    graph = network(3, 11)
    program, chosen = placed(graph, CONFIG)
    with pytest.raises(
        CelosiaError,
        match=r"^layer 't6' must have a multiple of 8 input channels to run in crossbar batches, "
        r"not 11$",
    ):
        CrossbarBatch(graph, program, chosen, COUNT)


REFUSED = (
    r"^network 'main' must be the program's, and drive its crossbar tiles pixel after pixel, "
    r"to run in crossbar batches$"
)


def test_another_order_of_pixels_is_refused():
    graph = load_tflite(random_network(26))
    program, chosen = placed(graph, CONFIG)
    with pytest.raises(CelosiaError, match=REFUSED):
        CrossbarBatch(graph, program, chosen, COUNT)


def test_another_network_is_refused():
    program, chosen = placed(network(3, 8), CONFIG)
    with pytest.raises(CelosiaError, match=REFUSED):
        CrossbarBatch(network(4, 8), program, chosen, COUNT)
