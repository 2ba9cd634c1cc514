"""Whole networks against the referee: every tensor of MLPerf Tiny models and random graphs."""

import numpy as np
import pytest
from support.comparison import assert_equals_referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter
from celosia.golden.quantization import RoundingProfile

IC, KWS = "ic_resnet8_int8", "kws_dscnn_int8"
NAMES = (IC, KWS, "vww_mobilenetv1_025_96_int8", "ad_autoencoder_int8")
SEED = 11


def labelled_path(folder, name):
    return folder / f"{name.split('_')[0]}_labelled.npz"


def network_inputs(models_dir, name, shape, count):
    """Labelled samples where there are any, then noise: white, and smooth as pictures are."""
    inputs = []
    path = labelled_path(models_dir / "samples", name)
    if path.is_file():
        inputs = [sample[None] for sample in np.load(path)["x"]]
    rng = np.random.default_rng(SEED)
    while len(inputs) < count:
        noise = rng.normal(0, 74, shape)
        if len(inputs) % 2:
            for axis in range(1, len(shape)):
                noise = sum(np.roll(noise, step, axis) for step in range(5)) / 2.5
        inputs.append(np.clip(noise, -128, 127).astype(np.int8))
    return [[x] for x in inputs]


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_of_mlperf_tiny_equals_the_referee(models_dir, name):
    data = (models_dir / f"{name}.tflite").read_bytes()
    graph = load_tflite(data)
    inputs = network_inputs(models_dir, name, graph.tensors[graph.inputs[0]].shape, 50)
    assert len(inputs) >= 50
    compared = assert_equals_referee(data, SEED, inputs=inputs)
    assert compared >= 50 * 1000


@pytest.mark.parametrize("name", [IC, KWS])
def test_labelled_samples_give_the_labelled_outputs(models_dir, samples_dir, name):
    interpreter = Interpreter(load_tflite(models_dir / f"{name}.tflite"))
    samples = np.load(labelled_path(samples_dir, name))
    for x, y in zip(samples["x"], samples["y"], strict=True):
        np.testing.assert_array_equal(interpreter.run([x[None]])[0][0], y)


def random_network(seed):
    """A small network of several operators with residual and parallel paths."""
    model = ModelBuilder(seed)
    rng = model.rng
    x = model.input((1, *rng.integers(9, 17, 2).tolist(), int(rng.integers(1, 6))))
    x = model.conv(x, int(rng.integers(3, 12)), (3, 3), activation="RELU")
    for _ in range(int(rng.integers(1, 5))):
        depth = model.shape(x)[3]
        match int(rng.integers(0, 6)):
            case 0:
                x = model.add(x, model.conv(x, depth), activation="RELU6")
            case 1:
                x = model.depthwise(x, stride=(1, 1), activation="RELU6")
            case 2:
                x = model.conv(
                    model.unary("HARD_SWISH", x, float(model.scale(x))), depth + 1, (1, 1)
                )
            case 3:
                x = model.mul(x, model.unary("LOGISTIC", model.mean(x, keep_dims=True)))
            case 4:
                x = model.concatenation(
                    [x, model.pool(x, "MAX", (3, 3), stride=(1, 1), padding="SAME")]
                )
            case 5:
                x = model.conv(
                    model.pad(x, ((0, 0), (1, 1), (0, 2), (0, 0))), depth, padding="VALID"
                )
    x = model.pool(x, "AVERAGE", (2, 2))
    x = model.reshape(x, (1, int(np.prod(model.shape(x)))))
    x = model.fully_connected(x, 10)
    return model.finish(model.softmax(x), x)


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_equal_the_referee(seed):
    assert_equals_referee(random_network(seed), seed)


def test_run_gives_outputs_in_the_order_of_the_graph():
    data = random_network(SEED)
    graph = load_tflite(data)
    interpreter = Interpreter(graph, RoundingProfile.TFLM)
    x = np.zeros(graph.tensors[graph.inputs[0]].shape, np.int8)
    values = interpreter.run_all([x])
    outputs = interpreter.run([x])
    assert len(outputs) == 2
    for index, output in zip(graph.outputs, outputs, strict=True):
        np.testing.assert_array_equal(values[index], output)
    computed = {operator.outputs[0] for operator in graph.operators}
    assert computed | set(graph.inputs) <= values.keys()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], r"^inputs must be 1 arrays, one for each input of the network, not 0$"),
        (
            [np.zeros((1, 4), np.float32)],
            r"^input 't0' must be int8 of shape \(1, 4\), not float32 of shape \(1, 4\)$",
        ),
        (
            [np.zeros((1, 5), np.int8)],
            r"^input 't0' must be int8 of shape \(1, 4\), not int8 of shape \(1, 5\)$",
        ),
    ],
)
def test_wrong_inputs_are_refused(inputs, message):
    model = ModelBuilder(SEED)
    graph = load_tflite(model.finish(model.fully_connected(model.input((1, 4)), 3)))
    with pytest.raises(CelosiaError, match=message):
        Interpreter(graph).run(inputs)
