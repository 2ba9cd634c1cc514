"""What the importer knows while it checks one operator, and the checks that operators share."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from celosia.compiler.importer.flatbuffer import RawOperator, RawTensor
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import MAX_ELEMENTS, Activation, Tensor
from celosia.golden.ops.matrix import Padding, Pair

MAX_RATIO = 2.0**30
"""Rescaling by more leaves no bit of the input in an int32."""
MAX_SCALE = 2.0**120
"""Between one over it and it, no quotient or product of scales overflows float32."""

_ACTIVATIONS = {
    0: Activation.NONE,
    1: Activation.RELU,
    2: Activation.RELU_N1_TO_1,
    3: Activation.RELU6,
}
_SAME, _VALID = 0, 1


class OperatorContext:
    """One operator of the file with the tensors around it.

    Getters check what they return; every failed check names the operator and the tensor.
    """

    def __init__(
        self,
        position: int,
        operator: RawOperator,
        raw_tensors: Sequence[RawTensor],
        tensors: Sequence[Tensor],
    ) -> None:
        self.operator = operator
        self._position = position
        self._raw_tensors = raw_tensors
        self._tensors = tensors

    def fail(self, reason: str) -> NoReturn:
        """Refuse the operator."""
        raise CelosiaError(f"operator {self._position} ({self.operator.kind}) can't run: {reason}")

    def require(self, condition: bool, reason: str) -> None:
        """Refuse the operator unless `condition` holds."""
        if not condition:
            self.fail(reason)

    def check_indices(self, defined: set[int]) -> None:
        """Inputs exist and have a value by now; the one output is new."""
        count = len(self._tensors)
        for index in self.operator.inputs:
            if index == -1:
                continue
            self.require(0 <= index < count, f"input tensor {index} must be from 0 to {count - 1}")
            # A bias without a single element is as good as none.
            if index not in defined and math.prod(self._tensors[index].shape) > 0:
                self.fail(
                    f"input tensor '{self._tensors[index].name}' must be an input of the network, "
                    "a constant or the output of an operator before"
                )
        outputs = self.operator.outputs
        self.require(len(outputs) == 1, f"it must have one output, not {len(outputs)}")
        self.require(
            0 <= outputs[0] < count, f"output tensor {outputs[0]} must be from 0 to {count - 1}"
        )
        self.require(
            outputs[0] not in defined,
            f"output tensor '{self._tensors[outputs[0]].name}' must not have a value before",
        )

    def kept_inputs(self) -> tuple[int, ...]:
        """Input indices, with -1 for tensors that hold nothing."""
        return tuple(
            index if index >= 0 and math.prod(self._tensors[index].shape) > 0 else -1
            for index in self.operator.inputs
        )

    def count_inputs(self, least: int, most: int) -> None:
        """Refuse an operator with fewer or more inputs."""
        count = len(self.operator.inputs)
        wanted = f"{least}" if least == most else f"{least} to {most}"
        self.require(least <= count <= most, f"it must have {wanted} inputs, not {count}")

    def option(self, table: str, field: str) -> Any:
        """A field of the operator's options, which must be a table of that name."""
        if field not in self.operator.options or self.operator.options_type != table:
            self.fail(f"its options must be {table}, not {self.operator.options_type}")
        return self.operator.options[field]

    def activation(self, table: str) -> Activation:
        """The fused activation; an operator without options has none."""
        if self.operator.options_type == "NONE":
            return Activation.NONE
        code = self.option(table, "FusedActivationFunction")
        if code not in _ACTIVATIONS:
            names = ", ".join(_ACTIVATIONS[known].name for known in sorted(_ACTIVATIONS))
            self.fail(f"its fused activation must be one of {names}, not number {code}")
        return _ACTIVATIONS[code]

    def type_of(self, index: int) -> str:
        """Type of a tensor by its name in the schema."""
        return self._raw_tensors[index].type

    def optional_input(self, position: int) -> Tensor | None:
        """Input tensor `position`, None where it is absent or holds nothing."""
        inputs = self.kept_inputs()
        if position >= len(inputs) or inputs[position] == -1:
            return None
        return self._tensors[inputs[position]]

    def input(self, position: int, role: str, *types: str) -> Tensor:
        """Input tensor `position`, which must be there and of one of `types` (int8 by default)."""
        tensor = self.optional_input(position)
        if tensor is None:
            self.fail(f"its {role} tensor is missing")
        self._check_type(self.operator.inputs[position], role, types or ("INT8",))
        return tensor

    def output(self, *types: str) -> Tensor:
        """The output tensor, of one of `types` (int8 by default)."""
        index = self.operator.outputs[0]
        self._check_type(index, "output", types or ("INT8",))
        tensor = self._tensors[index]
        self.require(
            math.prod(tensor.shape) > 0,
            f"output tensor '{tensor.name}' must not be empty, not of shape {tensor.shape}",
        )
        return tensor

    def _check_type(self, index: int, role: str, types: tuple[str, ...]) -> None:
        actual = self.type_of(index)
        tensor = self._tensors[index]
        if actual not in types:
            self.fail(f"{role} tensor '{tensor.name}' must be {' or '.join(types)}, not {actual}")
        if actual == "INT8":
            self.require(
                tensor.quantization is not None,
                f"{role} tensor '{tensor.name}' must be quantised, but has no scale",
            )

    def per_tensor(self, tensor: Tensor, role: str) -> float:
        """Scale of a tensor with one scale and an int8 zero point."""
        quantization = tensor.quantization
        assert quantization is not None
        count = quantization.scale.size
        self.require(count == 1, f"{role} tensor '{tensor.name}' must have one scale, not {count}")
        scale = float(quantization.scale[0])
        self.require(scale > 0, f"scale of {role} tensor '{tensor.name}' must be positive, not 0")
        self.require(
            1 / MAX_SCALE <= scale <= MAX_SCALE,
            f"scale of {role} tensor '{tensor.name}' must be from {1 / MAX_SCALE:.3g} to "
            f"{MAX_SCALE:.3g}, not {scale:.3g}",
        )
        zero_point = int(quantization.zero_point[0])
        self.require(
            -128 <= zero_point <= 127,
            f"zero point of {role} tensor '{tensor.name}' must be from -128 to 127, "
            f"not {zero_point}",
        )
        return scale

    def activations(self, *roles: str) -> tuple[list[Tensor], Tensor]:
        """int8 per-tensor inputs in the order of `roles`, and the output, checked alike."""
        inputs = [self.input(position, role) for position, role in enumerate(roles)]
        output = self.output()
        for tensor, role in zip((*inputs, output), (*roles, "output"), strict=True):
            self.per_tensor(tensor, role)
        return inputs, output

    def constant(self, position: int, role: str, *types: str) -> Tensor:
        """A constant input."""
        tensor = self.input(position, role, *types)
        self.require(tensor.data is not None, f"{role} tensor '{tensor.name}' must be a constant")
        return tensor

    def ratio(self, value: float, output: Tensor) -> None:
        """Refuse a rescaling factor that no requantiser can express."""
        self.require(
            value < MAX_RATIO,
            f"it would rescale to output tensor '{output.name}' by {value:.3g}, which must be "
            f"below {MAX_RATIO:.3g}: its scale is too small",
        )

    def shape(self, tensor: Tensor, role: str, expected: tuple[int, ...]) -> None:
        """Refuse a tensor whose shape isn't `expected`."""
        self.require(
            tensor.shape == expected,
            f"{role} tensor '{tensor.name}' must have shape {expected}, not {tensor.shape}",
        )

    def image(self, tensor: Tensor, role: str) -> tuple[int, int, int, int]:
        """The four sizes of an NHWC tensor."""
        self.require(
            len(tensor.shape) == 4,
            f"{role} tensor '{tensor.name}' must have four dimensions, not shape {tensor.shape}",
        )
        batch, height, width, channels = tensor.shape
        return batch, height, width, channels

    def geometry(
        self, table: str, x: Tensor, window: Pair, dilation: Pair
    ) -> tuple[Pair, Padding, Pair]:
        """Stride, padding in elements and output size of a sliding window, as TFLite has them.

        SAME pads so that an output has `ceil(size / stride)` positions, the odd element behind.
        """
        stride = (int(self.option(table, "StrideH")), int(self.option(table, "StrideW")))
        for role, pair in (("stride", stride), ("dilation", dilation), ("window", window)):
            self.require(min(pair) >= 1, f"its {role} must be at least 1 x 1, not {pair}")
        code = self.option(table, "Padding")
        self.require(code in (_SAME, _VALID), f"its padding must be SAME or VALID, not {code}")
        batch, height, width, channels = self.image(x, "input")
        pads, positions = [], []
        for axis, size in enumerate((height, width)):
            extent = (window[axis] - 1) * dilation[axis] + 1
            if code == _SAME:
                count = -(-size // stride[axis])
                total = max((count - 1) * stride[axis] + extent - size, 0)
            else:
                count = (size - extent) // stride[axis] + 1
                total = 0
            self.require(
                count >= 1,
                f"its window of {extent} must fit into input tensor '{x.name}' of shape {x.shape}",
            )
            pads.append((total // 2, total - total // 2))
            positions.append(count)
        needed = batch * (height + sum(pads[0])) * (width + sum(pads[1])) * channels
        self.require(
            needed <= MAX_ELEMENTS,
            f"input tensor '{x.name}' must have at most {MAX_ELEMENTS} elements with its "
            f"padding, not {needed}",
        )
        return stride, (pads[0], pads[1]), (positions[0], positions[1])


Attributes: TypeAlias = Mapping[str, object]
Importer: TypeAlias = Callable[[OperatorContext], Attributes]
"""Checks an operator against its tensors and returns its attributes."""
