"""Networks that the importer refuses: each case damages a sound model and expects the reason."""

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder, schema, serialise

from celosia.compiler.importer import load_tflite
from celosia.golden.errors import CelosiaError


def conv_model(**arguments):
    model = ModelBuilder(3)
    x = model.input((1, 6, 6, 3), 0.1, 0)
    return model, model.conv(x, 4, **arguments)


def change(model, index, **fields):
    for field, value in fields.items():
        target = model.tensors[index]
        if field in ("scale", "zeroPoint"):
            target = target.quantization
        setattr(target, field, value)


def case_unsupported():
    model, y = conv_model()
    model.codes[0].builtinCode = model.codes[0].deprecatedBuiltinCode = 67  # TRANSPOSE_CONV
    return model, y


def case_custom():
    model, y = conv_model()
    model.codes[0].builtinCode = model.codes[0].deprecatedBuiltinCode = 32
    model.codes[0].customCode = b"MyOp"
    return model, y


def case_tensor(index, **fields):
    def build():
        model, y = conv_model()
        change(model, index, **fields)
        return model, y

    return build


def case_operator(**fields):
    def build():
        model, y = conv_model()
        for field, value in fields.items():
            setattr(model.operators[0], field, value)
        return model, y

    return build


def case_options(**fields):
    def build():
        model, y = conv_model()
        for field, value in fields.items():
            setattr(model.operators[0].builtinOptions, field, value)
        return model, y

    return build


def case_undefined():
    model, y = conv_model()
    model.operators[0].inputs[0] = model.activation_tensor((1, 6, 6, 3))
    return model, y


def case_cycle():
    model = ModelBuilder(3)
    x = model.input((1, 4), 0.1, 0)
    later = model.activation_tensor((1, 4), 0.1, 0)
    first = model.add(x, later)
    model.operator("RELU", (first,), later)
    return model, later


def case_written_twice():
    model, y = conv_model()
    model.operators.append(model.operators[0])
    return model, y


def case_unwritten_output():
    model, _ = conv_model()
    return model, model.activation_tensor((1, 2))


def case_no_output():
    model, _ = conv_model()
    return (model,)


def case_constant_output():
    model, y = conv_model()
    return model, y, model.constant(np.zeros((1, 2), np.int8), scale=1.0, zero_point=0)


def case_same_output_twice():
    model, y = conv_model()
    return model, y, y


def case_constant_input():
    model, y = conv_model()
    model.inputs = [1]
    return model, y


def case_int32_output():
    model, y = conv_model()
    return model, y, 2


def case_no_subgraph():
    model, y = conv_model()
    file = model.model(y)
    file.subgraphs = []
    return file


def case_no_tensors():
    model, y = conv_model()
    file = model.model(y)
    file.subgraphs[0].tensors = []
    file.subgraphs[0].operators = []
    return file


def damaged(build, damage):
    """A one-operator model of `build(model, x)` changed by `damage(model)`."""

    def case():
        model = ModelBuilder(3)
        y = build(model, model.input((1, 6, 6, 4), 0.1, 0))
        damage(model)
        return model, y

    return case


def set_tensor(index, **fields):
    return lambda model: change(model, index, **fields)


def set_option(**fields):
    def apply(model):
        for field, value in fields.items():
            setattr(model.operators[-1].builtinOptions, field, value)

    return apply


def set_constant(index, values):
    def apply(model):
        model.buffers[model.tensors[index].buffer].data = np.frombuffer(
            np.asarray(values).tobytes(), np.uint8
        )

    return apply


INT32 = schema.TensorType.INT32
UINT8 = schema.TensorType.UINT8
FLOAT32 = schema.TensorType.FLOAT32
ONE = np.array([1], np.int64)

REFUSALS = {
    # The network around the operators
    "no subgraph": (case_no_subgraph, r"^the \.tflite file holds no network: it must have a subgr"),
    "no tensors": (case_no_tensors, r"^the network must have tensors$"),
    "no output": (case_no_output, r"^the network must have at least one output$"),
    "output twice": (case_same_output_twice, r"outputs must be different tensors$"),
    "constant input": (case_constant_input, r"^input 'weights0' of the network must not be const"),
    "int32 output": (
        case_int32_output,
        r"^output 'bias0' of the network must be INT8 or FLOAT32, ",
    ),
    "unwritten": (case_unwritten_output, r"^output 't4' of the network must be written by an oper"),
    "constant output": (
        case_constant_output,
        r"^output 't4' of the network must be written by an operator$",
    ),
    "uint8 input": (case_tensor(0, type=UINT8), r"^input 't0' of the network must be INT8 or FLO"),
    # Tensors
    "dynamic": (
        case_tensor(0, shapeSignature=[1, -1, 6, 3]),
        r"^tensor 't0' must have a fixed shape, not \(1, -1, 6, 3\); export the model with",
    ),
    "negative shape": (
        case_tensor(0, shape=[1, -1, 6, 3]),
        r"^tensor 't0' must have at most 8 dimensions of known size, not \(1, -1, 6, 3\)$",
    ),
    "rank": (case_tensor(0, shape=[1] * 9), r"^tensor 't0' must have at most 8 dimensions of kno"),
    "huge": (
        case_tensor(0, shape=[1, 1 << 15, 1 << 15, 3]),
        r"^tensor 't0' must have at most 67108864 elements, not 3221225472$",
    ),
    "variable": (case_tensor(0, isVariable=True), r"^tensor 't0' must not be a variable: networks"),
    "sparse": (
        case_tensor(1, sparsity=schema.SparsityParametersT()),
        r"^tensor 'weights0' must be dense: sparse tensors aren't supported$",
    ),
    "nan scale": (
        case_tensor(0, scale=np.array([np.nan], np.float32)),
        r"^scales of tensor 't0' must be positive numbers$",
    ),
    "zero points": (
        case_tensor(1, zeroPoint=np.zeros(3, np.int64)),
        r"^tensor 'weights0' must have one zero point for each of its 4 scales, not 3$",
    ),
    "wide zero point": (
        case_tensor(0, zeroPoint=ONE << 40),
        r"^zero points of tensor 't0' must be 32-bit numbers$",
    ),
    "short data": (
        case_tensor(1, shape=[4, 3, 3, 4]),
        r"^constant tensor 'weights0' of shape \(4, 3, 3, 4\) must hold 144 bytes, not 108$",
    ),
    # Any operator
    "unsupported": (
        case_unsupported,
        r"^operator 0 \(TRANSPOSE_CONV\) can't run: the operator isn't supported; supported are CO",
    ),
    "custom": (
        case_custom,
        r"^operator 0 \(CUSTOM 'MyOp'\) can't run: the operator isn't supporte",
    ),
    "undefined": (
        case_undefined,
        r"^operator 0 \(CONV_2D\) can't run: input tensor 't4' must be an input of the network, a "
        r"constant or the output of an operator before$",
    ),
    "cycle": (
        case_cycle,
        r"^operator 0 \(ADD\) can't run: input tensor 't1' must be an input of th",
    ),
    "twice": (
        case_written_twice,
        r"^operator 1 \(CONV_2D\) can't run: output tensor 't3' must not have a value before$",
    ),
    "input index": (
        case_operator(inputs=[99, 1, 2]),
        r"^operator 0 \(CONV_2D\) can't run: input tensor 99 must be from 0 to 3$",
    ),
    "output index": (
        case_operator(outputs=[-1]),
        r"^operator 0 \(CONV_2D\) can't run: output tensor -1 must be from 0 to 3$",
    ),
    "outputs": (
        case_operator(outputs=[]),
        r"^operator 0 \(CONV_2D\) can't run: it must have one output, not 0$",
    ),
    "inputs": (
        case_operator(inputs=[0]),
        r"^operator 0 \(CONV_2D\) can't run: it must have 2 to 3 inputs, not 1$",
    ),
    "missing weights": (
        case_operator(inputs=[0, -1]),
        r"^operator 0 \(CONV_2D\) can't run: its weights tensor is missing$",
    ),
    "no options": (
        case_operator(builtinOptions=None, builtinOptionsType=0),
        r"^operator 0 \(CONV_2D\) can't run: its options must be Conv2DOptions, not NONE$",
    ),
    "other options": (
        case_operator(
            builtinOptions=schema.AddOptionsT(), builtinOptionsType=schema.BuiltinOptions.AddOptions
        ),
        r"^operator 0 \(CONV_2D\) can't run: its options must be Conv2DOptions, not AddOptions$",
    ),
    "activation": (
        case_options(fusedActivationFunction=4),
        r"its fused activation must be one of NONE, RELU, RELU_N1_TO_1, RELU6, not number 4$",
    ),
    "float weights": (
        case_tensor(1, type=FLOAT32, shape=[27]),
        r"^operator 0 \(CONV_2D\) can't run: weights tensor 'weights0' must be INT8, not FLOAT32$",
    ),
    "unquantised": (
        case_tensor(3, quantization=None),
        r"output tensor 't3' must be quantised, but has no scale$",
    ),
    "many scales": (
        case_tensor(0, scale=np.ones(3, np.float32), zeroPoint=np.zeros(3, np.int64)),
        r"input tensor 't0' must have one scale, not 3$",
    ),
    "zero scale": (
        case_tensor(0, scale=np.zeros(1, np.float32)),
        r"scale of input tensor 't0' must be positive, not 0$",
    ),
    "zero point": (
        case_tensor(0, zeroPoint=128 * ONE),
        r"zero point of input tensor 't0' must be from -128 to 127, not 128$",
    ),
    "scale too small": (
        case_tensor(0, scale=np.array([2.0**-121], np.float32)),
        r"scale of input tensor 't0' must be from 7.52e-37 to 1.33e\+36, not 3.76e-37$",
    ),
    "scale too large": (
        case_tensor(3, scale=np.array([2.0**121], np.float32)),
        r"scale of output tensor 't3' must be from 7.52e-37 to 1.33e\+36, not 2.66e\+36$",
    ),
    "product of scales": (
        case_tensor(1, scale=np.array([2.0**125], np.float32), zeroPoint=ONE * 0),
        r"scales of input tensor 't0' and weights tensor 'weights0' must have a product of at "
        r"most 1.33e\+36, not .*$",
    ),
    "ratio": (
        case_tensor(3, scale=np.array([1e-20], np.float32)),
        r"it would rescale to output tensor 't3' by .*, which must be below 1.07e\+09: its scale",
    ),
    # Matrix operators
    "variable weights": (
        case_operator(inputs=[0, 0]),
        r"weights tensor 't0' must be a constant$",
    ),
    "weights rank": (
        case_tensor(1, shape=[4, 27]),
        r"weights tensor 'weights0' must have 4 dimensions, not shape \(4, 27\)$",
    ),
    "input channels": (
        case_tensor(1, shape=[4, 3, 1, 9]),
        r"weights tensor 'weights0' must have 3 input channels as input tensor 't0', not 9$",
    ),
    "scales": (
        case_tensor(1, scale=np.ones(3, np.float32), zeroPoint=np.zeros(3, np.int64)),
        r"weights tensor 'weights0' must have 1 or 4 scales, not 3$",
    ),
    "weights zero": (
        case_tensor(1, zeroPoint=np.ones(4, np.int64)),
        r"weights tensor 'weights0' must have zero point 0$",
    ),
    "bias shape": (
        case_tensor(2, shape=[2, 2]),
        r"bias tensor 'bias0' must have shape \(4,\), not \(2, 2\)$",
    ),
    "bias type": (case_tensor(2, type=FLOAT32), r"bias tensor 'bias0' must be INT32, not FLOAT32$"),
    "output shape": (
        case_tensor(3, shape=[1, 6, 6, 5]),
        r"output tensor 't3' must have shape \(1, 6, 6, 4\), not \(1, 6, 6, 5\)$",
    ),
    "empty output": (
        case_tensor(3, shape=[1, 0, 6, 4]),
        r"output tensor 't3' must not be empty, not of shape \(1, 0, 6, 4\)$",
    ),
    "image": (
        case_tensor(0, shape=[6, 18]),
        r"input tensor 't0' must have four dimensions, not shape \(6, 18\)$",
    ),
    "stride": (case_options(strideH=0), r"its stride must be at least 1 x 1, not \(0, 1\)$"),
    "dilation": (
        case_options(dilationWFactor=-1),
        r"its dilation must be at least 1 x 1, not \(1, -1\)$",
    ),
    "padding": (case_options(padding=7), r"its padding must be SAME or VALID, not 7$"),
    "window": (
        case_options(padding=1, dilationHFactor=3),
        r"its window of 7 must fit into input tensor 't0' of shape \(1, 6, 6, 3\)$",
    ),
    "padded": (
        case_options(dilationHFactor=1 << 30),
        r"input tensor 't0' must have at most 67108864 elements with its padding, not \d+$",
    ),
    "depthwise": (
        damaged(lambda m, x: m.depthwise(x), set_tensor(1, shape=[3, 1, 3, 4])),
        r"weights tensor 'weights0' must have shape \(1, height, width, a multiple of 4\), not",
    ),
    "dense input": (
        damaged(lambda m, x: m.fully_connected(x, 2), set_tensor(0, shape=[1, 6, 6, 3])),
        r"input tensor 't0' must have a multiple of 144 elements, not 108$",
    ),
    "dense output": (
        damaged(lambda m, x: m.fully_connected(x, 2), set_tensor(3, shape=[2, 1])),
        r"output tensor 't3' must have 1 rows of 2, not shape \(2, 1\)$",
    ),
    "dense format": (
        damaged(lambda m, x: m.fully_connected(x, 2), set_option(weightsFormat=1)),
        r"its weights format must be DEFAULT, not number 1$",
    ),
    # The others
    "broadcast": (
        damaged(
            lambda m, x: m.add(x, x),
            lambda m: m.operators[0].inputs.__setitem__(
                1, m.constant(np.zeros(5, np.int8), scale=1.0)
            ),
        ),
        r"tensors 't0' and 't2' must have shapes that broadcast, not \(1, 6, 6, 4\) and \(5,\)$",
    ),
    "axes": (
        damaged(lambda m, x: m.mean(x), set_constant(2, np.int32([1, 4]))),
        r"axes tensor 't2' must hold axes of input tensor 't0' of shape \(1, 6, 6, 4\), not 4$",
    ),
    "paddings": (
        damaged(
            lambda m, x: m.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0))),
            set_constant(2, np.int32([0, 0, -1, 3, 0, 0, 0, 0])),
        ),
        r"paddings tensor 't2' must not be negative$",
    ),
    "padded zero point": (
        damaged(
            lambda m, x: m.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0))),
            set_tensor(1, zeroPoint=ONE),
        ),
        r"input tensor 't0' must have scale and zero point of output tensor 't1'$",
    ),
    "reshape": (
        damaged(lambda m, x: m.reshape(x, (1, 144)), set_tensor(1, shape=[1, 143])),
        r"output tensor 't1' of shape \(1, 143\) must have as many elements as input",
    ),
    "concatenation axis": (
        damaged(lambda m, x: m.concatenation([x, x]), set_option(axis=4)),
        r"its axis must be from -4 to 3, not 4$",
    ),
    "concatenation activation": (
        damaged(lambda m, x: m.concatenation([x, x]), set_option(fusedActivationFunction=1)),
        r"its fused activation must be NONE, not RELU$",
    ),
    "concatenation rank": (
        damaged(lambda m, x: m.concatenation([x, x]), set_tensor(1, shape=[1, 36, 8])),
        r"input tensor 't0' must have 3 dimensions, not shape \(1, 6, 6, 4\)$",
    ),
    "concatenation of none": (
        damaged(lambda m, x: m.concatenation([x]), lambda m: setattr(m.operators[0], "inputs", [])),
        r"it must have at least one input$",
    ),
    "softmax scale": (
        damaged(lambda m, x: m.softmax(x), set_tensor(1, zeroPoint=ONE)),
        r"output tensor 't1' must have scale 0.00390625 and zero point -128, not 0.00390625 and 1$",
    ),
    "softmax beta": (
        damaged(lambda m, x: m.softmax(x), set_option(beta=0.0)),
        r"its beta times the scale of input tensor 't0' must be at least 2\*\*-26, not 0 ",
    ),
    "softmax of a number": (
        damaged(
            lambda m, x: m.softmax(x),
            lambda m: (change(m, 0, shape=[]), change(m, 1, shape=[])),
        ),
        r"input tensor 't0' must have at least one dimension$",
    ),
    "hard swish": (
        damaged(lambda m, x: m.unary("HARD_SWISH", x, 0.1 / 200), lambda m: None),
        r"scale of input tensor 't0' must be below 128 times that of output tensor 't1'$",
    ),
    "transposition": (
        lambda: (lambda m: (m, m.moved("TRANSPOSE", m.input((2, 3)), (2, 3), (1, 1))))(
            ModelBuilder()
        ),
        r"permutation tensor 't\d+' must hold each of 0 to 1 once, not \(1, 1\)$",
    ),
    "slice outside": (
        lambda: (lambda m: (m, m.moved("SLICE", m.input((2, 3)), (2, 3), (0, 1), (2, 3))))(
            ModelBuilder()
        ),
        r"its slice of dimension 1 must lie within 0 to 3, not begin at 1 and have 3 elements$",
    ),
    "slice rank": (
        lambda: (lambda m: (m, m.moved("SLICE", m.input((2, 3)), (2, 3), (0,), (2,))))(
            ModelBuilder()
        ),
        r"begin tensor 't\d+' must have shape \(2,\), not \(1,\)$",
    ),
    "slice backwards": (
        damaged(
            lambda m, x: m.strided_slice(x, [0] * 4, [1] * 4),
            lambda m: setattr(m.buffers[-1], "data", np.int32([1, 1, 1, -1]).view(np.uint8)),
        ),
        r"its strides must be positive, not \(1, 1, 1, -1\)$",
    ),
    "slice with new dimensions": (
        damaged(lambda m, x: m.strided_slice(x, [0] * 4, [1] * 4), set_option(newAxisMask=2)),
        r"its NewAxisMask must be 0, not 2$",
    ),
    "leaky relu slope": (
        damaged(lambda m, x: m.leaky_relu(x, -0.5, 0.1), lambda m: None),
        r"its alpha must be at least 0, not -0.5$",
    ),
    "leaky relu ratio": (
        damaged(lambda m, x: m.leaky_relu(x, 2.0**31, 0.1), lambda m: None),
        r"it would rescale to output tensor 't1' by .*, which must be below",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    build, message = REFUSALS[name]
    built = build()
    data = built[0].finish(*built[1:]) if isinstance(built, tuple) else serialise(built)
    with pytest.raises(CelosiaError, match=message):
        load_tflite(data)


def test_inputs_of_the_network_must_exist():
    model, y = conv_model()
    model.inputs = [77]
    with pytest.raises(CelosiaError, match=r"^input of the network must be a tensor from 0 to 3, "):
        load_tflite(model.finish(y))
