"""What a name of an ONNX network stands for while it is imported.

A float value between DequantizeLinear and QuantizeLinear is never computed. It is either a function
of one stored byte, known by its 256 values, or a *pending* operator that waits to learn how its
output is quantised. So both ways of writing a quantised network end in the same operators.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx.view import View

UNSIGNED_OFFSET = 128
"""What an unsigned byte is held lower by."""
BYTES = np.arange(-128, 128)


@dataclass(frozen=True)
class Scale:
    """Per-tensor quantisation; `zero_point` is that of the stored, signed bytes."""

    scale: np.float32
    zero_point: int
    unsigned: bool = False

    def reals(self) -> NDArray[np.float32]:
        """The real number of each byte, as DequantizeLinear computes it."""
        with np.errstate(over="ignore"):
            return (BYTES - self.zero_point).astype(np.float32) * self.scale


@dataclass(frozen=True)
class QuantisedData:
    """Whole numbers (int8, or int32 of a bias) and what they mean.

    `scale` [n] and `zero_point` [n] have one value, or one for each index of `axis`. Unsigned bytes
    are held 128 lower, as everywhere.
    """

    data: NDArray[Any]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int32]
    axis: int = 0
    unsigned: bool = False

    def reals(self) -> NDArray[np.float32]:
        """The real numbers, as DequantizeLinear computes them."""
        scale = self._along_axis(self.scale)
        with np.errstate(over="ignore"):
            return np.asarray(self.centred().astype(np.float32) * scale, np.float32)

    def centred(self) -> NDArray[np.int64]:
        """The whole numbers without their zero points."""
        return np.asarray(self.data.astype(np.int64) - self._along_axis(self.zero_point))

    def _along_axis(self, values: NDArray[Any]) -> NDArray[Any]:
        shape = [1] * self.data.ndim
        if values.size > 1:
            shape[self.axis] = -1
        return values.reshape(shape)


@dataclass(frozen=True)
class Constant:
    """Numbers that the file holds; `quantised` where they are dequantised ones."""

    data: NDArray[Any]
    quantised: QuantisedData | None = None


@dataclass(frozen=True)
class Bytes:
    """A quantised value: a stored int8 tensor, and how its axes lie in it.

    Its scale is the builder's to know: that of an int8 input is said by its consumers only.
    """

    tensor: int
    view: View
    unsigned: bool


@dataclass(frozen=True)
class Reals:
    """A float value that is a function of stored bytes: `values[byte + 128]`."""

    tensor: int
    view: View
    scale: Scale
    values: NDArray[np.float32]

    @property
    def is_plain(self) -> bool:
        """Whether it is just the dequantised bytes."""
        return bool(np.array_equal(self.values, self.scale.reals()))


@dataclass(frozen=True)
class Floats:
    """A stored float32 tensor, which the host computes or the user gives."""

    tensor: int
    view: View


@dataclass(frozen=True)
class Pending:
    """The float output of an operator of the NPU, clamped to `low` and `high`.

    `emit(scale, low, high, name)` makes the operator for an output of that quantisation and
    returns the tensor's index. Behind an operator with weights, `affine(factor, offset)` is the
    same one with its output channels (on `channel_axis`) scaled and moved. `floats()` computes the
    value on the host, where that is possible.
    """

    view: View
    emit: Callable[[Scale, float, float, str], int]
    low: float = -np.inf
    high: float = np.inf
    affine: Callable[[NDArray[Any], NDArray[Any]], "Pending"] | None = None
    channel_axis: int = 0
    floats: Callable[[], "Floats"] | None = None
    made: dict[Scale, int] = field(default_factory=dict)

    def clamped(self, low: float, high: float) -> "Pending":
        """The same, clamped further; nothing can be folded behind a clamp."""
        return replace(
            self,
            low=min(max(self.low, low), high),
            high=max(min(self.high, high), low),
            affine=None,
            floats=None,
            made={},
        )

    def then(self, view: View, operator: Callable[[int, str], int]) -> "Pending":
        """Behind it an operator that chooses or moves values: `operator(tensor, name)`."""

        def emit(scale: Scale, low: float, high: float, name: str) -> int:
            return operator(self.emit(scale, low, high, f"{name}/input"), name)

        return Pending(view, emit, self.low, self.high)


Value: TypeAlias = Constant | Bytes | Reals | Floats | Pending
