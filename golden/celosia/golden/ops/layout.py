"""PAD, RESHAPE, TRANSPOSE, STRIDED_SLICE and CONCATENATION: values moved, never changed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Tensor
from celosia.golden.ops.stage import Int8Array, Kernel, zero_point_of


def pad(x: Tensor, *, pads: tuple[tuple[int, int], ...]) -> Kernel:
    """PAD with the zero point, which stands for the real number 0."""
    value = zero_point_of(x)

    def run(values: Int8Array) -> Int8Array:
        return np.pad(values, pads, constant_values=value)

    return run


def reshape(output: Tensor) -> Kernel:
    """RESHAPE to the output tensor's shape."""

    def run(values: Int8Array) -> Int8Array:
        return values.reshape(output.shape)

    return run


def transpose(*, permutation: tuple[int, ...]) -> Kernel:
    """TRANSPOSE: dimension i of the result is dimension `permutation[i]` of the input."""

    def run(values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(values.transpose(permutation))

    return run


def strided_slice(
    output: Tensor, *, begin: tuple[int, ...], size: tuple[int, ...], strides: tuple[int, ...]
) -> Kernel:
    """STRIDED_SLICE, and SLICE: `size` positions of each dimension from `begin` on."""
    taken = tuple(
        slice(first, first + (count - 1) * stride + 1, stride)
        for first, count, stride in zip(begin, size, strides, strict=True)
    )

    def run(values: Int8Array) -> Int8Array:
        return np.ascontiguousarray(values[taken]).reshape(output.shape)

    return run


def concatenation(*, axis: int) -> Kernel:
    """CONCATENATION along `axis` of tensors that share one quantisation."""

    def run(*values: Int8Array) -> Int8Array:
        return np.concatenate(values, axis=axis)

    return run
