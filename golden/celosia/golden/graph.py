"""The graph: an int8 network as the importer leaves it and the golden interpreter runs it.

A graph is a list of operators in execution order over a list of tensors. It is plain data: the
importer (`celosia.compiler`) fills it in and checks it once, everything behind trusts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from celosia.golden.rounding import RoundingProfile

MAX_ELEMENTS = 1 << 26
"""Largest tensor that a file may declare, padding included: a small file can declare any size."""
MAX_RANK = 8
"""Most dimensions of a tensor."""


class OpKind(Enum):
    """Operators, by their names in the TFLite schema; LOOKUP and MEAN_POOL_2D are our own."""

    CONV_2D = "CONV_2D"
    DEPTHWISE_CONV_2D = "DEPTHWISE_CONV_2D"
    FULLY_CONNECTED = "FULLY_CONNECTED"
    ADD = "ADD"
    SUB = "SUB"
    MUL = "MUL"
    AVERAGE_POOL_2D = "AVERAGE_POOL_2D"
    MAX_POOL_2D = "MAX_POOL_2D"
    MEAN = "MEAN"
    PAD = "PAD"
    RESHAPE = "RESHAPE"
    CONCATENATION = "CONCATENATION"
    STRIDED_SLICE = "STRIDED_SLICE"
    RELU = "RELU"
    RELU6 = "RELU6"
    LEAKY_RELU = "LEAKY_RELU"
    LOGISTIC = "LOGISTIC"
    TANH = "TANH"
    HARD_SWISH = "HARD_SWISH"
    SOFTMAX = "SOFTMAX"
    QUANTIZE = "QUANTIZE"
    DEQUANTIZE = "DEQUANTIZE"
    TRANSPOSE = "TRANSPOSE"
    LOOKUP = "LOOKUP"
    MEAN_POOL_2D = "MEAN_POOL_2D"


MATRIX_KINDS = frozenset({OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.FULLY_CONNECTED})
"""Operators that multiply by constant weights."""
BINARY_KINDS = frozenset({OpKind.ADD, OpKind.SUB, OpKind.MUL})
"""Operators of two int8 tensors, byte by byte."""
UNARY_KINDS = frozenset(
    {
        OpKind.RELU,
        OpKind.RELU6,
        OpKind.LEAKY_RELU,
        OpKind.LOGISTIC,
        OpKind.TANH,
        OpKind.HARD_SWISH,
        OpKind.QUANTIZE,
        OpKind.LOOKUP,
    }
)
"""Operators of one int8 tensor, byte by byte (QUANTIZE also takes float32, LOOKUP may give it)."""
ELEMENTWISE_KINDS = BINARY_KINDS | UNARY_KINDS


class Activation(Enum):
    """Fused activation of an operator."""

    NONE = "NONE"
    RELU = "RELU"
    RELU_N1_TO_1 = "RELU_N1_TO_1"
    RELU6 = "RELU6"


@dataclass(frozen=True)
class Quantization:
    """Affine quantisation `real = scale * (q - zero_point)`.

    `scale` is float32 of shape [1] (per tensor) or [channels], `zero_point` int32 of the same
    shape. `axis` is the dimension that the channels lie on (0 where per tensor).
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int32]
    axis: int = 0


@dataclass(frozen=True)
class Tensor:
    """A value of the graph; `shape` is NHWC with four dimensions, `data` is set for constants."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    quantization: Quantization | None = None
    data: NDArray[np.generic] | None = None


@dataclass(frozen=True)
class Operator:
    """One operator: tensor indices in and out, and the attributes of its kind.

    `inputs` holds -1 for an optional tensor that is absent (a missing bias). Attributes by kind:

    - CONV_2D, DEPTHWISE_CONV_2D: `stride` (h, w), `dilation` (h, w), `padding` ((top, bottom),
      (left, right)) in elements, `activation`; depthwise also `multiplier`. Weights as in TFLite:
      [out, kh, kw, in] and [1, kh, kw, channels].
    - AVERAGE_POOL_2D, MAX_POOL_2D: `window` (h, w), `stride`, `padding`, `activation`.
    - FULLY_CONNECTED: `activation`; weights [out, in]; the input is flattened to [-1, in].
    - ADD, SUB, MUL, CONCATENATION: `activation`; CONCATENATION also `axis` (non-negative).
    - MEAN: `axes` (sorted, non-negative), `keep_dims`. PAD: `pads` ((before, after), ...).
    - MEAN_POOL_2D: the mean of each window, rescaled: `window`, `stride`, `padding`, and
      `count_padding`, whether padding counts as taps of zero.
    - SOFTMAX: `beta`. LEAKY_RELU: `alpha`.
    - STRIDED_SLICE: `begin`, `size` (positions taken) and `strides` (positive) of each dimension.
    - TRANSPOSE: `permutation`, the input's dimension of each of the output's.
    - LOOKUP: none; the second input is a constant [256], the value of each byte from -128 on.

    All other kinds have none; RESHAPE takes its shape from its output tensor.
    """

    kind: OpKind
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A whole network: tensors, operators in execution order, and its inputs and outputs.

    `profile` is whose arithmetic it has unless another is asked for: that of the interpreter which
    the network's file was made for.
    """

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    profile: RoundingProfile = RoundingProfile.TFLM
