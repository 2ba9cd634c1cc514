"""Small networks of the families that people run, with random weights; logits come out last."""

import numpy as np
from support.tflite_writer import ModelBuilder

UNIT = {"output_scale": 0.05, "output_zero_point": -10}
"""Values of a few units, where sigmoids and swishes bend."""
RELU6 = {"activation": "RELU6", "output_scale": 6 / 255, "output_zero_point": -128}


def mobilenet_v2(seed):
    """Inverted residuals with RELU6; PAD in front of strides, as converters write it."""
    model = ModelBuilder(seed)
    x = model.input((1, 20, 18, 3))
    x = model.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    x = model.conv(x, 8, stride=(2, 2), padding="VALID", **RELU6)
    for channels, stride, expansion in ((8, 1, 1), (12, 2, 4), (12, 1, 4), (20, 1, 3)):
        y = x
        if expansion > 1:
            width = model.shape(x)[3] * expansion
            y = model.conv(y, width, (1, 1), **RELU6)
        if stride > 1:
            y = model.pad(y, ((0, 0), (0, 1), (0, 1), (0, 0)))
        padding = "VALID" if stride > 1 else "SAME"
        y = model.depthwise(y, stride=(stride, stride), padding=padding, **RELU6)
        y = model.conv(y, channels, (1, 1), **UNIT)
        x = (
            model.add(x, y, output_scale=0.08, output_zero_point=4)
            if model.shape(x) == model.shape(y)
            else y
        )
    x = model.conv(x, 40, (1, 1), **RELU6)
    x = model.fully_connected(model.mean(x, output_scale=0.01), 10, **UNIT)
    return model.finish(model.softmax(x), x)


def number(model, value, scale):
    """A constant of one number."""
    return model.constant(np.full((), value, np.int8), scale=scale)


def hard_sigmoid(model, x):
    """relu6(x + 3) / 6 in the operators that exporters write."""
    x = model.add(x, number(model, 127, 3 / 127), output_scale=0.05, output_zero_point=-70)
    x = model.unary("RELU6", x, model.scale(x), model.zero_point(x))
    sixth = number(model, 127, 1 / 6 / 127)
    return model.mul(x, sixth, output_scale=1 / 256, output_zero_point=-128)


def hard_swish(model, x, fused):
    """x * relu6(x + 3) / 6, as one operator or as several."""
    if fused:
        return model.unary("HARD_SWISH", x, 0.6 * model.scale(x))
    gate = hard_sigmoid(model, x)
    return model.mul(x, gate, output_scale=0.03, output_zero_point=-110)


def squeeze_and_excite(model, x, units, activation, gate, *, reduce):
    """Channels scaled by a function of their means; `reduce` is 'mean' or 'pool'."""
    _, height, width, channels = model.shape(x)
    if reduce == "mean":
        s = model.mean(x, keep_dims=True)
    else:
        s = model.pool(x, "AVERAGE", (height, width))
    s = activation(model.conv(s, units, (1, 1), **UNIT))
    return model.mul(x, gate(model.conv(s, channels, (1, 1), **UNIT)))


def mobilenet_v3(seed, *, fused):
    """Squeeze-and-excite blocks with hard sigmoids, hard swish in one operator or in several."""
    model = ModelBuilder(seed)
    x = model.input((1, 18, 18, 3))
    x = hard_swish(model, model.conv(x, 8, stride=(2, 2), **UNIT), fused)
    blocks = ((16, 8, 3, 2, True, "RELU"), (24, 12, 5, 1, False, "HS"), (30, 12, 5, 1, True, "HS"))
    for width, channels, kernel, stride, excite, nonlinearity in blocks:

        def activate(y, nonlinearity=nonlinearity):
            if nonlinearity == "RELU":
                return model.unary("RELU", y, model.scale(y), model.zero_point(y))
            return hard_swish(model, y, fused)

        y = activate(model.conv(x, width, (1, 1), **UNIT))
        y = activate(model.depthwise(y, (kernel, kernel), stride=(stride, stride), **UNIT))
        if excite:
            y = squeeze_and_excite(
                model,
                y,
                8,
                lambda s: model.unary("RELU", s, model.scale(s), model.zero_point(s)),
                lambda s: hard_sigmoid(model, s),
                reduce="mean",
            )
        y = model.conv(y, channels, (1, 1), **UNIT)
        x = model.add(x, y) if model.shape(x) == model.shape(y) else y
    x = hard_swish(model, model.conv(x, 40, (1, 1), **UNIT), fused)
    _, height, width, channels = model.shape(x)
    x = model.pool(x, "AVERAGE", (height, width))
    x = hard_swish(model, model.conv(x, 48, (1, 1), **UNIT), fused)
    x = model.fully_connected(model.reshape(x, (1, 48)), 10, **UNIT)
    return model.finish(model.dequantize(model.softmax(x)), x)


def efficientnet(seed):
    """Swish (x * sigmoid(x)) everywhere, gates by sigmoids; float in and out."""
    model = ModelBuilder(seed)

    def swish(x):
        return model.mul(x, model.unary("LOGISTIC", x))

    x = model.input((1, 17, 15, 3), dtype="float32")
    x = model.operator("QUANTIZE", (x,), model.activation_tensor((1, 17, 15, 3), 0.02, 3))
    x = swish(model.conv(x, 10, stride=(2, 2), **UNIT))
    for channels, kernel, stride, expansion in ((10, 3, 1, 1), (14, 5, 2, 3), (14, 3, 1, 3)):
        y = swish(model.conv(x, model.shape(x)[3] * expansion, (1, 1), **UNIT))
        y = swish(model.depthwise(y, (kernel, kernel), stride=(stride, stride), **UNIT))
        y = squeeze_and_excite(
            model, y, 4, swish, lambda s: model.unary("LOGISTIC", s), reduce="pool"
        )
        y = model.conv(y, channels, (1, 1), **UNIT)
        x = model.add(x, y) if model.shape(x) == model.shape(y) else y
    x = model.mean(swish(model.conv(x, 36, (1, 1), **UNIT)))
    return model.finish(model.dequantize(model.fully_connected(x, 7)))


def streaming(seed):
    """Convolutions over time: each joins its state to the new frames and hands the rest on."""
    model = ModelBuilder(seed)
    same = {"output_scale": 0.1, "output_zero_point": -7}
    frames = model.input((1, 3, 1, 13), 0.1, -7)
    states = [model.input((1, 2, 1, channels), 0.1, -7) for channels in (13, 16, 16)]
    x, kept = frames, []
    for state in states:
        joined = model.concatenation([state, x], 1)
        kept.append(model.pool(joined, "MAX", (1, 1), stride=(3, 1)))
        x = model.conv(joined, 16, (3, 1), padding="VALID", activation="RELU", **same)
    x = model.concatenation([x, model.pool(x, "MAX", (3, 1), stride=(1, 1), padding="SAME")])
    x = model.fully_connected(model.reshape(x, (1, 96)), 12)
    return model.finish(model.softmax(x), *kept, x)


def inception(seed):
    """Branches that are joined along channels of any number, densely."""
    model = ModelBuilder(seed)
    same = {"output_scale": 0.08, "output_zero_point": 5}
    x = model.conv(model.input((1, 12, 11, 3)), 16, stride=(2, 2), **same)
    for widths in ((8, 16, 8), (7, 12, 5)):
        branches = [
            model.conv(x, widths[0], (1, 1), **same),
            model.conv(model.conv(x, 9, (1, 1), activation="RELU"), widths[1], **same),
            model.conv(
                model.pool(x, "MAX", (3, 3), stride=(1, 1), padding="SAME"), widths[2], **same
            ),
        ]
        x = model.concatenation([x, *branches])
    x = model.leaky_relu(model.conv(x, 20, (1, 1)), 0.1)
    x = model.sub(x, model.conv(x, 20))
    x = model.fully_connected(model.mean(x), 6)
    return model.finish(model.softmax(x), x)


FAMILIES = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": lambda seed: mobilenet_v3(seed, fused=False),
    "mobilenet_v3_fused": lambda seed: mobilenet_v3(seed, fused=True),
    "efficientnet": efficientnet,
    "streaming": streaming,
    "inception": inception,
}
