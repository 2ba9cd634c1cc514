"""PAD, RESHAPE and CONCATENATION: bytes moved, never changed."""

import numpy as np

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


def concatenation(*, axis: int) -> Kernel:
    """CONCATENATION along `axis` of tensors that share one quantisation."""

    def run(*values: Int8Array) -> Int8Array:
        return np.concatenate(values, axis=axis)

    return run
