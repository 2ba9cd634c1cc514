"""The golden interpreter: a whole graph on numpy, byte for byte as a TFLite interpreter runs it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from celosia.golden.errors import CelosiaError
from celosia.golden.graph import BINARY_KINDS, Graph, Operator, OpKind, Tensor
from celosia.golden.ops import (
    conversion,
    elementwise,
    float_formulas,
    layout,
    matrix,
    pooling,
    softmax,
    tables,
)
from celosia.golden.ops.stage import Kernel
from celosia.golden.quantization import RoundingProfile, mode_for


class Interpreter:
    """Runs a graph, one inference at a time.

    Preparing (folding biases, laying out weights, building tables) happens here once. `profile`
    names the interpreter whose bytes are wanted, by default the graph's own. `products` has what
    computes the sums of convolutions and matrix products, by the operator's index, where they
    aren't to be the exact ones. Runs keep numpy's
    matrix products on one thread: they are small, and a busy machine makes them wait for the
    second.
    """

    def __init__(
        self,
        graph: Graph,
        profile: RoundingProfile | None = None,
        products: Mapping[int, matrix.MatrixProduct] | None = None,
    ) -> None:
        self.graph = graph
        self.profile = profile = profile or graph.profile
        self._blas = ThreadpoolController().select(user_api="blas")
        self._constants = {
            index: tensor.data
            for index, tensor in enumerate(graph.tensors)
            if tensor.data is not None
        }
        self._steps = [
            (
                kernel_for(graph, operator, profile, (products or {}).get(index)),
                _operands(graph, operator),
                operator.outputs[0],
            )
            for index, operator in enumerate(graph.operators)
        ]

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The graph's outputs, in its order, for its inputs (shapes and types as in the graph).

        Raises:
            CelosiaError: the inputs are others in number, shape or type.
        """
        values = self.run_all(inputs)
        return [values[index] for index in self.graph.outputs]

    def run_all(self, inputs: Sequence[NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """Every tensor's value by its index, constants included. Raises as `run` does."""
        values: dict[int, NDArray[Any]] = dict(self._constants)
        check_inputs([self.graph.tensors[index] for index in self.graph.inputs], inputs)
        values.update(zip(self.graph.inputs, inputs, strict=True))
        with self._blas.limit(limits=1):
            for kernel, operands, output in self._steps:
                values[output] = kernel(*[values[index] for index in operands])
        return values


def check_inputs(wanted: Collection[Tensor], inputs: Sequence[NDArray[Any]]) -> None:
    """Raise CelosiaError unless `inputs` are those of a network, in number, shape and type."""
    if len(inputs) != len(wanted):
        raise CelosiaError(
            f"inputs must be {len(wanted)} arrays, one for each input of the network, "
            f"not {len(inputs)}"
        )
    for tensor, value in zip(wanted, inputs, strict=True):
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise CelosiaError(
                f"input '{tensor.name}' must be {tensor.dtype.name} of shape {tensor.shape}, "
                f"not {value.dtype.name} of shape {value.shape}"
            )


def _operands(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Tensors that the kernel takes at run time: what preparing has used up is left out."""
    if operator.kind in BINARY_KINDS:
        return operator.inputs[:2]
    if operator.kind is OpKind.CONCATENATION:
        return operator.inputs
    return operator.inputs[:1]


def kernel_for(
    graph: Graph,
    operator: Operator,
    profile: RoundingProfile,
    product: matrix.MatrixProduct | None = None,
) -> Kernel:
    """The prepared kernel of one operator; `product` as in `Interpreter`."""
    kind = operator.kind
    inputs = [graph.tensors[index] if index >= 0 else None for index in operator.inputs]
    x = _present(inputs[0])
    output = graph.tensors[operator.outputs[0]]
    attributes: Mapping[str, Any] = operator.attributes
    mode = mode_for(profile, kind)
    second = inputs[1] if len(inputs) > 1 else None
    third = inputs[2] if len(inputs) > 2 else None
    match kind:
        case OpKind.CONV_2D:
            return matrix.conv_2d(
                x, _present(second), third, output, mode=mode, product=product, **attributes
            )
        case OpKind.DEPTHWISE_CONV_2D:
            return matrix.depthwise_conv_2d(
                x, _present(second), third, output, mode=mode, **attributes
            )
        case OpKind.FULLY_CONNECTED:
            return matrix.fully_connected(
                x, _present(second), third, output, mode=mode, product=product, **attributes
            )
        case OpKind.ADD:
            return elementwise.add(x, _present(second), output, mode=mode, **attributes)
        case OpKind.SUB:
            return elementwise.sub(x, _present(second), output, mode=mode, **attributes)
        case OpKind.MUL:
            return elementwise.mul(
                x, _present(second), output, mode=mode, profile=profile, **attributes
            )
        case OpKind.AVERAGE_POOL_2D:
            return pooling.average_pool_2d(x, output, **attributes)
        case OpKind.MEAN_POOL_2D:
            return float_formulas.mean_pool_2d(x, output, **attributes)
        case OpKind.MAX_POOL_2D:
            return pooling.max_pool_2d(x, output, **attributes)
        case OpKind.MEAN:
            return pooling.mean(x, output, mode=mode, **attributes)
        case OpKind.PAD:
            return layout.pad(x, **attributes)
        case OpKind.RESHAPE:
            return layout.reshape(output)
        case OpKind.STRIDED_SLICE:
            return layout.strided_slice(output, **attributes)
        case OpKind.TRANSPOSE:
            return layout.transpose(**attributes)
        case OpKind.CONCATENATION:
            return layout.concatenation(axis=attributes["axis"])
        case OpKind.SOFTMAX if x.dtype == np.float32:
            return softmax.softmax_of_reals()
        case OpKind.SOFTMAX if profile == RoundingProfile.FLOAT32:
            return softmax.softmax_of_table(x, output)
        case OpKind.SOFTMAX:
            return softmax.softmax(x, **attributes)
        case OpKind.DEQUANTIZE:
            return conversion.dequantize(x)
        case OpKind.QUANTIZE if x.dtype == np.float32:
            return conversion.quantize(output, profile)
        case OpKind.QUANTIZE if x.dtype != output.dtype:
            return conversion.shift(128 if output.dtype == np.uint8 else -128, output.dtype.type)
        case OpKind.LEAKY_RELU:
            return tables.lookup(tables.leaky_relu(x, output, mode, **attributes))
        case OpKind.LOOKUP:
            return tables.lookup(_data(second))
        case _:
            return tables.lookup(tables.table_for(kind, x, output, mode, profile))


def _present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def _data(tensor: Tensor | None) -> NDArray[Any]:
    data = _present(tensor).data
    assert data is not None
    return data
