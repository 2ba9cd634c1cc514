"""Import of .tflite files: what a graph holds, and what is forgiven."""

import os
import re

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder, schema, serialise

from celosia.compiler.importer import flatbuffer, load_tflite
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Activation, OpKind
from celosia.golden.interpreter import Interpreter


def small_network():
    model = ModelBuilder(1)
    x = model.input((1, 9, 7, 3), 0.5, -4)
    y = model.conv(
        x, 5, (3, 2), stride=(2, 1), activation="RELU6", output_scale=0.25, output_zero_point=-128
    )
    y = model.depthwise(y, multiplier=2, dilation=(2, 1))
    y = model.pool(y, "AVERAGE", (2, 3), stride=(1, 2), padding="VALID")
    return model, y


def test_graph_of_a_network():
    model, y = small_network()
    graph = load_tflite(model.finish(y))
    assert graph.name == "main"
    assert graph.inputs == (0,)
    assert graph.outputs == (y,)
    assert [operator.kind for operator in graph.operators] == [
        OpKind.CONV_2D,
        OpKind.DEPTHWISE_CONV_2D,
        OpKind.AVERAGE_POOL_2D,
    ]
    conv, depthwise, pool = graph.operators
    assert conv.attributes == {
        "stride": (2, 1),
        "dilation": (1, 1),
        "padding": ((1, 1), (0, 1)),
        "activation": Activation.RELU6,
    }
    assert depthwise.attributes["multiplier"] == 2
    assert depthwise.attributes["padding"] == ((2, 2), (1, 1))
    assert pool.attributes["window"] == (2, 3)
    assert pool.attributes["padding"] == ((0, 0), (0, 0))
    x, weights, bias = (graph.tensors[index] for index in conv.inputs)
    assert (x.name, x.shape, x.dtype, x.data) == ("t0", (1, 9, 7, 3), np.int8, None)
    assert x.quantization.scale.tolist() == [0.5]
    assert x.quantization.zero_point.tolist() == [-4]
    assert weights.shape == (5, 3, 2, 3)
    assert weights.quantization.scale.shape == (5,)
    assert bias.dtype == np.int32
    assert bias.data.shape == (5,)
    assert conv.name == graph.tensors[conv.outputs[0]].name


def test_a_path_and_its_bytes_give_the_same_graph(tmp_path):
    model, y = small_network()
    data = model.finish(y)
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    from_path, from_bytes = load_tflite(path), load_tflite(data)
    assert load_tflite(str(path)).operators == from_path.operators == from_bytes.operators


# What interpreters forgive


def run_zeros(graph):
    inputs = [np.zeros(graph.tensors[index].shape, np.int8) for index in graph.inputs]
    return Interpreter(graph).run(inputs)[0]


def test_bias_may_be_absent_in_every_way():
    results = []
    for way in ("two inputs", "index -1", "empty tensor", "zeros"):
        model = ModelBuilder(2)
        x = model.input((1, 6), 0.1, 0)
        bias = np.zeros(4, np.int32) if way == "zeros" else False
        y = model.fully_connected(x, 4, bias=bias, output_scale=0.1, output_zero_point=3)
        if way == "index -1":
            model.operators[0].inputs.append(-1)
        elif way == "empty tensor":
            model.operators[0].inputs.append(model.tensor((0,), "int32"))
        results.append(run_zeros(load_tflite(model.finish(y))))
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_what_bias_quantisation_says_is_ignored():
    model = ModelBuilder(2)
    y = model.conv(model.input((1, 5, 5, 3)), 4, bias_axis=3)
    bias = model.tensors[model.operators[0].inputs[2]]
    bias.quantization.scale = np.array([0, np.nan, -1, np.inf], np.float32)
    bias.quantization.zeroPoint = np.full(4, 1 << 40, np.int64)
    graph = load_tflite(model.finish(y))
    assert graph.tensors[graph.operators[0].inputs[2]].quantization is None


def test_weights_may_have_one_scale_any_axis_or_a_dead_channel():
    model = ModelBuilder(2)
    x = model.input((1, 5, 5, 3))
    one = model.conv(x, 4, per_channel=False)
    many = model.conv(x, 4, weight_scale=[0.01, 0.0, 0.02, 0.01], bias=False)
    model.tensors[model.operators[1].inputs[1]].quantization.quantizedDimension = 3
    graph = load_tflite(model.finish(one, many))
    result = Interpreter(graph).run([np.full((1, 5, 5, 3), 99, np.int8)])[1]
    assert (result[..., 1] == graph.tensors[many].quantization.zero_point[0]).all()


def test_batch_of_unknown_size_is_the_shape_s():
    model, y = small_network()
    model.tensors[0].shapeSignature = [-1, 9, 7, 3]
    assert load_tflite(model.finish(y)).tensors[0].shape == (1, 9, 7, 3)


def test_fully_connected_flattens_its_input():
    model = ModelBuilder(2)
    y = model.fully_connected(model.input((1, 2, 3, 4)), 5)
    assert run_zeros(load_tflite(model.finish(y))).shape == (1, 5)


def test_unused_tensors_and_unknown_content_are_ignored():
    model, y = small_network()
    odd = model.tensor((-1, 1 << 30, 1 << 30), "int8")
    model.tensors[odd].type = schema.TensorType.STRING
    model.tensors[odd].isVariable = True
    file = model.model(y)
    metadata = schema.MetadataT()
    metadata.name = b"anything"
    file.metadata = [metadata]
    assert len(load_tflite(serialise(file)).operators) == 3


def test_names_become_one_printable_line():
    model, y = small_network()
    model.tensors[0].name = b"two\nlines \x1b[31m \xff" + b"x" * 5000
    name = load_tflite(model.finish(y)).tensors[0].name
    assert name.startswith("two\N{REPLACEMENT CHARACTER}lines \N{REPLACEMENT CHARACTER}[31m ")
    assert len(name) == flatbuffer.MAX_NAME
    model.tensors[0].name = None
    assert load_tflite(model.finish(y)).tensors[0].name == "tensor 0"


def test_old_operator_codes_without_the_wide_field():
    model, y = small_network()
    for code in model.codes:
        code.builtinCode = 0
    assert load_tflite(model.finish(y)).operators[1].kind is OpKind.DEPTHWISE_CONV_2D


# What is refused before the network is looked at


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.write_bytes(b"hello"), r"this isn't a \.tflite file: bytes 4 to 7 must"),
        (lambda path: path.mkdir(), r"must be a file$"),
        (lambda path: None, r"can't be read: No such file or directory$"),
        (os.mkfifo, r"must be a file$"),
    ],
)
def test_bad_paths(tmp_path, prepare, message):
    path = tmp_path / "model.tflite"
    prepare(path)
    with pytest.raises(CelosiaError, match=rf"^model '{re.escape(str(path))}'.*{message}"):
        load_tflite(path)


def test_a_path_that_no_system_takes():
    with pytest.raises(CelosiaError, match=r"^model 'a\\x00b' can't be read: embedded null byte$"):
        load_tflite("a\0b")


def test_work_is_bounded_by_the_size_of_the_file(monkeypatch):
    model, y = small_network()
    data = model.finish(y)
    monkeypatch.setattr(flatbuffer, "_WORK_PER_BYTE", 0)
    with pytest.raises(
        CelosiaError, match=r"^the \.tflite file is damaged: its content doesn't fit"
    ):
        load_tflite(data)
