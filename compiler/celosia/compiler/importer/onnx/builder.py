"""The graph while it grows: tensors, operators, and the moves that a layout asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx.values import Bytes, Floats, Pending, Reals, Scale
from celosia.compiler.importer.onnx.view import Atom, View, channels_last, size_of
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import (
    MAX_ELEMENTS,
    MAX_RANK,
    Graph,
    Operator,
    OpKind,
    Quantization,
    Tensor,
)
from celosia.golden.rounding import RoundingProfile

Stored = Bytes | Reals | Floats


class GraphBuilder:
    """Collects tensors and operators in execution order."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._operators: list[Operator] = []
        self._scales: dict[int, Scale] = {}
        self._likeness: dict[int, int] = {}  # tensors that have the scale of another
        self._moved: dict[tuple[int, tuple[Any, ...]], int] = {}

    def tensor(self, index: int) -> Tensor:
        """A tensor so far."""
        return self._tensors[index]

    def add_tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any = np.int8,
        *,
        scale: Scale | None = None,
        like: int | None = None,
        data: NDArray[Any] | None = None,
    ) -> int:
        """A new tensor; an int8 one has a scale, or is like another, or gets its scale later."""
        if len(shape) > MAX_RANK or not 0 < prod(shape) <= MAX_ELEMENTS:
            raise CelosiaError(
                f"tensor '{name}' must have at most {MAX_RANK} dimensions and from 1 to "
                f"{MAX_ELEMENTS} elements, not shape {tuple(shape)}"
            )
        index = len(self._tensors)
        self._tensors.append(Tensor(name, tuple(shape), np.dtype(dtype), None, data))
        if like is not None:
            self._likeness[index] = self._root(like)
        elif scale is not None:
            self._scales[index] = scale
        return index

    def add_weights(
        self, name: str, data: NDArray[Any], scale: NDArray[np.float32] | None, axis: int
    ) -> int:
        """A constant; `scale` has one value or one for each index of `axis`, None for a bias."""
        quantization = None
        if scale is not None:
            quantization = Quantization(scale, np.zeros(scale.shape, np.int32), axis)
        self._tensors.append(Tensor(name, data.shape, data.dtype, quantization, data))
        return len(self._tensors) - 1

    def add_quantised(self, name: str, data: NDArray[np.int8], scale: Scale) -> int:
        """A constant operand with the quantisation of an activation."""
        quantization = Quantization(
            np.array([scale.scale], np.float32), np.array([scale.zero_point], np.int32)
        )
        self._tensors.append(Tensor(name, data.shape, data.dtype, quantization, data))
        return len(self._tensors) - 1

    def add_operator(
        self,
        kind: OpKind,
        inputs: Sequence[int],
        output: int,
        attributes: Mapping[str, Any] | None = None,
    ) -> int:
        """A new operator; returns its output."""
        name = self._tensors[output].name
        self._operators.append(
            Operator(kind, name, tuple(inputs), (output,), dict(attributes or {}))
        )
        return output

    def scale(self, index: int) -> Scale | None:
        """The scale of an int8 tensor, None where nobody has said it yet."""
        return self._scales.get(self._root(index))

    def claim(self, index: int, scale: Scale) -> None:
        """Say the scale of a tensor. Raises CelosiaError where it is known to be another."""
        known = self._scales.setdefault(self._root(index), scale)
        if (known.scale, known.zero_point) != (scale.scale, scale.zero_point):
            raise CelosiaError(
                f"tensor '{self._tensors[index].name}' must be read with the scale and zero point "
                f"that it is written with ({known.scale:.6g} and {known.zero_point}), not "
                f"{scale.scale:.6g} and {scale.zero_point}"
            )

    def _root(self, index: int) -> int:
        return self._likeness.get(index, index)

    def alike(self, index: int, name: str, shape: Sequence[int]) -> int:
        """A tensor of the type and scale of another."""
        dtype = self._tensors[index].dtype
        return self.add_tensor(name, shape, dtype, like=index)

    def named(self, index: int, name: str) -> int:
        """The tensor under the name that the user knows; one that has its name stays as it is.

        A tensor that nothing makes is an input of the network, which is copied.
        """
        tensor = self._tensors[index]
        if tensor.name == name:
            return index
        if not any(index in operator.outputs for operator in self._operators):
            return self.add_operator(
                OpKind.RESHAPE, (index,), self.alike(index, name, tensor.shape)
            )
        self._tensors[index] = replace(tensor, name=name)
        return index

    def regroup(self, value: Stored, view: View) -> int:
        """The tensor of `value` in the dimensions of `view`, which has the same memory."""
        return self._reshaped(value.tensor, view.stored_shape)

    def _reshaped(self, index: int, shape: tuple[int, ...]) -> int:
        source = self._tensors[index]
        if source.shape == shape:
            return index
        key = (index, ("reshape", shape))
        if key not in self._moved:
            output = self.alike(index, f"{source.name}/reshaped", shape)
            self._moved[key] = self.add_operator(OpKind.RESHAPE, (index,), output)
        return self._moved[key]

    def in_order(self, value: Stored, axes: Sequence[int]) -> Stored:
        """`value` with a stored dimension for each of `axes`, in that order: moved if it must."""
        wanted = value.view.in_order(axes)
        if value.view.memory == wanted.memory:
            return replace(value, tensor=self.regroup(value, wanted), view=wanted)
        tensor = self._permuted(value, wanted)
        return replace(value, tensor=tensor, view=wanted)

    def image(self, value: Stored, *, any_channel_order: bool = False) -> Stored:
        """`value` as an image: batch, height, width, channels; a row of pixels has height 1.

        The channels may be left in another order than ONNX's where the caller heeds that.
        """
        batch, channels, *sizes = value.view.logical
        front = (*batch, *(atom for size in sizes for atom in size))
        memory = value.view.memory
        if not (
            memory[: len(front)] == front
            and (any_channel_order or memory[len(front) :] == channels)
        ):
            value = self.in_order(value, channels_last(len(value.view.logical)))
            memory = value.view.memory
        height = () if len(sizes) == 1 else sizes[0]
        view = replace(value.view, stored=(batch, height, sizes[-1], memory[len(front) :]))
        return replace(value, tensor=self.regroup(value, view), view=view)

    def _permuted(self, value: Stored, wanted: View) -> int:
        """A TRANSPOSE of whole dimensions or, where these are cut, of runs of atoms."""
        groups = list(value.view.stored)
        permutation = []
        for group in wanted.stored:
            if group in groups:
                permutation.append(groups.index(group))
                groups[permutation[-1]] = (Atom(0),)  # taken
        if len(permutation) == len(groups) == len(wanted.stored):
            source = self._reshaped(value.tensor, value.view.stored_shape)
            return self._transposed(source, tuple(permutation))
        memory = value.view.memory
        runs: list[list[Atom]] = []
        for atom in wanted.memory:
            before = memory[memory.index(atom) - 1] if memory.index(atom) else None
            if runs and runs[-1][-1] is before:
                runs[-1].append(atom)
            else:
                runs.append([atom])
        order = sorted(range(len(runs)), key=lambda run: memory.index(runs[run][0]))
        source = self._reshaped(value.tensor, tuple(size_of(runs[run]) for run in order))
        moved = self._transposed(source, tuple(order.index(run) for run in range(len(runs))))
        return self._reshaped(moved, wanted.stored_shape)

    def _transposed(self, source: int, permutation: tuple[int, ...]) -> int:
        key = (source, ("transpose", permutation))
        if key not in self._moved:
            tensor = self._tensors[source]
            shape = tuple(tensor.shape[axis] for axis in permutation)
            output = self.alike(source, f"{tensor.name}/transposed", shape)
            self._moved[key] = self.add_operator(
                OpKind.TRANSPOSE, (source,), output, {"permutation": permutation}
            )
        return self._moved[key]

    def finish_pending(self, value: Pending, scale: Scale, name: str) -> Bytes:
        """Emit a pending operator for an output of `scale`, once."""
        if scale not in value.made:
            value.made[scale] = value.emit(scale, value.low, value.high, name)
        return Bytes(value.made[scale], value.view, scale.unsigned)

    def build(self, name: str, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
        """The finished graph, without what no output needs.

        Raises:
            CelosiaError: an int8 tensor has no scale.
        """
        needed = {*outputs}
        kept = []
        for operator in reversed(self._operators):
            if not needed.isdisjoint(operator.outputs):
                kept.append(operator)
                needed.update(operator.inputs)
        used = sorted((needed | {*inputs}) - {-1})
        number = {old: new for new, old in enumerate(used)} | {-1: -1}
        return Graph(
            name,
            tuple(self._finished(index) for index in used),
            tuple(
                replace(
                    operator,
                    inputs=tuple(number[i] for i in operator.inputs),
                    outputs=tuple(number[i] for i in operator.outputs),
                )
                for operator in reversed(kept)
            ),
            tuple(number[index] for index in inputs),
            tuple(number[index] for index in outputs),
            RoundingProfile.FLOAT32,
        )

    def _finished(self, index: int) -> Tensor:
        tensor = self._tensors[index]
        if tensor.data is not None or tensor.dtype != np.int8:
            return tensor
        scale = self.scale(index)
        if scale is None:
            raise CelosiaError(
                f"tensor '{tensor.name}' must be quantised, but nothing says its scale"
            )
        quantization = Quantization(
            np.array([scale.scale], np.float32), np.array([scale.zero_point], np.int32)
        )
        return replace(tensor, quantization=quantization)
