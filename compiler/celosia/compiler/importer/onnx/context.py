"""What the importer knows while it imports one node, and the checks that nodes share."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.context import MAX_RATIO, MAX_SCALE
from celosia.compiler.importer.onnx.builder import GraphBuilder, Stored
from celosia.compiler.importer.onnx.reader import Node
from celosia.compiler.importer.onnx.values import (
    UNSIGNED_OFFSET,
    Bytes,
    Constant,
    Floats,
    Pending,
    QuantisedData,
    Reals,
    Scale,
    Value,
)
from celosia.golden.errors import CelosiaError

_BYTE_TYPES = (np.dtype(np.int8), np.dtype(np.uint8))


class NodeContext:
    """One node with the values around it; every failed check names node and tensor."""

    def __init__(
        self, node: Node, opset: int, values: Mapping[str, Value], builder: GraphBuilder
    ) -> None:
        self.node = node
        self.opset = opset
        self.builder = builder
        self._values = values

    @property
    def name(self) -> str:
        """Name of the output."""
        return self.node.outputs[0]

    def fail(self, reason: str) -> NoReturn:
        """Refuse the node."""
        raise CelosiaError(f"{self.node} can't run: {reason}")

    def require(self, condition: bool, reason: str) -> None:
        """Refuse the node unless `condition` holds."""
        if not condition:
            self.fail(reason)

    def has(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.node.inputs) and self.node.inputs[position] != ""

    def value(self, position: int) -> Value:
        """An input, whatever it is."""
        if not self.has(position):
            self.fail(f"its input {position} is missing")
        name = self.node.inputs[position]
        if name not in self._values:
            self.fail(
                f"input '{name}' must be an input of the network, a constant or the output of a "
                "node before"
            )
        return self._values[name]

    def input_name(self, position: int) -> str:
        """Name of an input."""
        return self.node.inputs[position]

    def constant(self, position: int, role: str) -> NDArray[Any]:
        """An input that must be a constant."""
        value = self.value(position)
        if not isinstance(value, Constant):
            self.fail(f"{role} '{self.input_name(position)}' must be a constant")
        return value.data

    def integers(self, position: int, attribute: str) -> tuple[int, ...] | None:
        """Whole numbers from an attribute or, in newer operator sets, an input; None if absent."""
        if attribute in self.node.attributes:
            given = np.asarray(self.node.attributes[attribute])
        elif self.has(position):
            given = self.constant(position, attribute)
        else:
            return None
        self.require(
            given.dtype.kind in "iu" and given.ndim <= 1, f"its {attribute} must be whole numbers"
        )
        return tuple(int(number) for number in given.reshape(-1))

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the default's type."""
        value = self.node.attributes.get(name, default)
        kinds: Any = (int, float) if isinstance(default, float) else type(default)
        self.require(
            isinstance(value, kinds), f"its attribute {name} must be {type(default).__name__}"
        )
        return value

    def pair(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute of whole numbers, as many as `default` has."""
        value = self.numbers(name, default)
        self.require(
            len(value) == len(default),
            f"its {name} must be {len(default)} whole numbers, not {value}",
        )
        return value

    def numbers(self, name: str, default: Iterable[int]) -> tuple[int, ...]:
        """An attribute of whole numbers."""
        value = self.node.attributes.get(name, tuple(default))
        whole = isinstance(value, list | tuple) and all(isinstance(item, int) for item in value)
        self.require(whole, f"its {name} must be whole numbers")
        return tuple(value)

    def scale(self, position: int) -> Scale:
        """The per-tensor quantisation in inputs `position` (scale) and `position + 1`."""
        scales = self._scales(position)
        self.require(
            scales.size == 1,
            f"scale '{self.input_name(position)}' must be one number, not {scales.size}",
        )
        scale = np.float32(scales.reshape(-1)[0])
        zero_point, unsigned = self._zero_point(position + 1)
        self.require(
            zero_point.size == 1,
            f"zero point '{self.input_name(min(position + 1, len(self.node.inputs) - 1))}' must be "
            f"one number, not {zero_point.size}",
        )
        offset = UNSIGNED_OFFSET if unsigned else 0
        return Scale(scale, int(zero_point.reshape(-1)[0]) - offset, unsigned)

    def _scales(self, position: int) -> NDArray[np.float32]:
        scales = self.constant(position, "scale")
        name = self.input_name(position)
        self.require(
            scales.dtype == np.float32, f"scale '{name}' must be float32, not {scales.dtype.name}"
        )
        self.require(
            bool((np.isfinite(scales) & (scales > 0)).all()),
            f"scale '{name}' must be positive numbers",
        )
        self.require(
            bool(((scales >= 1 / MAX_SCALE) & (scales <= MAX_SCALE)).all()),
            f"scale '{name}' must be from {1 / MAX_SCALE:.3g} to {MAX_SCALE:.3g}",
        )
        return scales.astype(np.float32)

    def _zero_point(self, position: int) -> tuple[NDArray[Any], bool]:
        """The zero point, which may be absent, and whether its type is unsigned."""
        if not self.has(position):
            return np.zeros((), np.uint8), True
        zero_point = self.constant(position, "zero point")
        self.require(
            zero_point.dtype in _BYTE_TYPES,
            f"zero point '{self.input_name(position)}' must be int8 or uint8, "
            f"not {zero_point.dtype.name}",
        )
        return zero_point, zero_point.dtype == np.uint8

    def quantised(self, data: NDArray[Any], scale_at: int, axis: int) -> QuantisedData:
        """Constant whole numbers, the first input of them, with scales along `axis`."""
        name = self.input_name(scale_at - 1)
        self.require(
            data.dtype in (*_BYTE_TYPES, np.dtype(np.int32)),
            f"constant '{name}' must be int8, uint8 or int32, not {data.dtype.name}",
        )
        scale = self._scales(scale_at).reshape(-1)
        self.require(
            scale.size == 1 or (data.ndim > axis >= 0 and scale.size == data.shape[axis]),
            f"constant '{name}' of shape {data.shape} must have one scale, or one for each index "
            f"of axis {axis}, not {scale.size}",
        )
        zero_point = np.zeros(scale.shape, np.int32)
        if self.has(scale_at + 1):
            given = self.constant(scale_at + 1, "zero point").reshape(-1)
            self.require(
                given.dtype == data.dtype and given.size == scale.size,
                f"zero point '{self.input_name(scale_at + 1)}' must be {data.dtype.name} and as "
                "many as there are scales",
            )
            zero_point = given.astype(np.int32)
        if data.dtype == np.uint8:
            held = (data.astype(np.int16) - UNSIGNED_OFFSET).astype(np.int8)
            return QuantisedData(held, scale, zero_point - UNSIGNED_OFFSET, axis, unsigned=True)
        return QuantisedData(data, scale, zero_point, axis)

    def weights(self, position: int, data: QuantisedData | None) -> QuantisedData:
        """Weights of a matrix product with zero point 0: int8, or int16 where these don't fit."""
        name = self.input_name(position)
        if data is None:
            self.fail(
                f"weights '{name}' must be quantised: 'celosia quantize' makes an int8 model of a "
                "float one"
            )
        self.require(data.data.dtype == np.int8, f"weights '{name}' must be int8 or uint8")
        if not data.zero_point.any():
            return data
        centred = data.centred()
        fits = centred.min(initial=0) >= -128 and centred.max(initial=0) <= 127
        return replace(
            data,
            data=centred.astype(np.int8 if fits else np.int16),
            zero_point=np.zeros_like(data.zero_point),
        )

    def bytes(self, position: int, scale_at: int) -> Reals:
        """A quantised input with the quantisation in inputs `scale_at` and `scale_at + 1`."""
        value, scale = self.value(position), self.scale(scale_at)
        if not isinstance(value, Bytes):
            self.fail(f"input '{self.input_name(position)}' must be a quantised tensor")
        return self.dequantised(value, scale)

    def dequantised(self, value: Bytes, scale: Scale) -> Reals:
        """Stored bytes as real numbers of `scale`."""
        self.require(
            value.unsigned == scale.unsigned,
            f"input '{self.input_name(0)}' must have the type of its zero point",
        )
        self.builder.claim(value.tensor, scale)
        return Reals(value.tensor, value.view, scale, scale.reals())

    def reals(self, position: int) -> Reals:
        """An input that is a plain dequantised tensor."""
        value = self.value(position)
        name = self.input_name(position)
        if isinstance(value, Floats):
            self.fail(
                f"input '{name}' must be quantised: float operators run at the ends only, "
                "'celosia quantize' makes an int8 model of a float one"
            )
        if isinstance(value, Constant):
            self.fail(f"input '{name}' must not be a constant")
        if not isinstance(value, Reals) or not value.is_plain:
            self.fail(
                f"input '{name}' must be quantised: a QuantizeLinear and DequantizeLinear must "
                "stand in front"
            )
        return value

    def stored(self, position: int) -> Stored:
        """An input that is a tensor in memory, of any kind, or a function of one."""
        value = self.value(position)
        if isinstance(value, Constant | Pending):
            what = "a constant" if isinstance(value, Constant) else "left in float"
            self.fail(f"input '{self.input_name(position)}' must not be {what}")
        return value

    def ratio(self, value: float) -> None:
        """Refuse a rescaling factor that no requantiser can express."""
        self.require(
            value < MAX_RATIO,
            f"it would rescale by {value:.3g}, which must be below {MAX_RATIO:.3g}: the scale of "
            "its output is too small",
        )

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front."""
        self.require(
            -rank <= axis < rank, f"its axis must be from {-rank} to {rank - 1}, not {axis}"
        )
        return axis % rank

    def image_size(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Batch, channels, height and width of an image; a row of pixels has height 1."""
        self.require(
            len(shape) in (3, 4),
            f"input '{self.input_name(0)}' must be an image of 3 or 4 dimensions, not {shape}",
        )
        batch, channels, *sizes = shape
        height, width = sizes if len(sizes) == 2 else (1, *sizes)
        self.require(math.prod(shape) > 0, f"input '{self.input_name(0)}' must not be empty")
        return batch, channels, height, width
