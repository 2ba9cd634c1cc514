"""The whole body: input layouts, then one layer after another."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from celosia.compiler.layers import AnyLayer
from celosia.compiler.layout import Layout, PixelLayout
from celosia.compiler.lowering.clamping import clamp_before
from celosia.compiler.lowering.concatenation import lower_concatenation, plan_joints
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.convolution import input_layouts, lower_convolution
from celosia.compiler.lowering.depthwise import lower_depthwise
from celosia.compiler.lowering.elementwise import lower_binary, lower_lookup
from celosia.compiler.lowering.fully_connected import lower_fully_connected
from celosia.compiler.lowering.functions import function_of_one
from celosia.compiler.lowering.mean import lower_mean
from celosia.compiler.lowering.padding import lower_pad
from celosia.compiler.lowering.pooling import lower_pooling
from celosia.compiler.lowering.slicing import lower_slice
from celosia.compiler.lowering.transposition import lower_transpose
from celosia.compiler.lowering.uses import Uses
from celosia.compiler.lowering.views import View
from celosia.compiler.names import short_name
from celosia.compiler.partition import Partition, variable_inputs
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import ELEMENTWISE_KINDS, Graph, Operator, OpKind, Tensor
from celosia.golden.rounding import RoundingProfile

_LOWERINGS: Mapping[OpKind, Callable[[LoweringContext], AnyLayer]] = {
    OpKind.CONV_2D: lower_convolution,
    OpKind.DEPTHWISE_CONV_2D: lower_depthwise,
    OpKind.FULLY_CONNECTED: lower_fully_connected,
    OpKind.ADD: lower_binary,
    OpKind.SUB: lower_binary,
    OpKind.MUL: lower_binary,
    OpKind.AVERAGE_POOL_2D: lower_pooling,
    OpKind.MAX_POOL_2D: lower_pooling,
    OpKind.MEAN: lower_mean,
    OpKind.PAD: lower_pad,
}


@dataclass(frozen=True)
class Body:
    """The device's share of a network.

    Attributes:
        layers: in execution order.
        inputs, outputs: tensors that the host writes and reads.
        tensors: the graph's, and more that layers write.
        layouts: of every tensor that isn't reshaped from another.
        origins: the tensor that each reshaped one was.
        views: tensors that lie in the storage of another; the rest own theirs.
    """

    layers: tuple[AnyLayer, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: Sequence[Tensor]
    layouts: Mapping[int, Layout]
    origins: Mapping[int, int]
    views: Mapping[int, View]

    def origin(self, tensor: int) -> int:
        """The tensor that `tensor` was before it was reshaped."""
        return self.origins.get(tensor, tensor)

    def step(self, tensor: int, rows: int) -> int:
        """Vectors from one pixel of a tensor to the next."""
        view = self.views.get(tensor)
        if view is not None and view.spaced:
            return view.step
        return self.layouts[tensor].pixel_vectors(rows)

    def vectors(self, tensor: int, rows: int) -> int:
        """Vectors from a tensor's first to its last."""
        layout = self.layouts[tensor]
        between = self.step(tensor, rows) - layout.pixel_vectors(rows)
        return layout.vectors(rows) + (layout.packed.pixels - 1) * between


def lower_body(
    graph: Graph,
    parts: Partition,
    config: NpuConfig,
    profile: RoundingProfile,
    *,
    frugality: int,
    crossbar: Collection[str] = (),
) -> Body:
    """Lower the body's operators.

    Inputs are stored in the layout that costs least cycles, but for the `frugality` first ones,
    which take more of the scratchpad. `crossbar` names the outputs of operators that go on crossbar
    tiles.

    Raises:
        CelosiaError: an operator can't run; the message names it.
    """
    inputs = tuple(variable_inputs(graph, parts.body))
    outputs = _outputs(graph, parts)
    context = LoweringContext(
        graph, config, profile, Uses(graph, parts.body, outputs), crossbar=crossbar
    )
    for index in inputs:
        tensor = graph.tensors[index]
        if tensor.dtype != np.int8:
            raise CelosiaError(
                f"tensor '{short_name(tensor.name)}' must be int8 to reach the NPU, "
                f"not {tensor.dtype.name}"
            )
        consumers = [graph.operators[i] for i in parts.body if index in graph.operators[i].inputs]
        context.layouts[index] = _input_layout(graph, index, consumers, config, frugality)
    context.pixel_channels.update(_reshaped_products(graph, parts))
    joints = plan_joints(context, parts.body)
    stored = _stored(graph, parts, outputs)
    for index in parts.body:
        context.operator = index
        operator = graph.operators[index]
        output = operator.outputs[0]
        function = None
        if operator.kind in ELEMENTWISE_KINDS:
            function = function_of_one(graph, operator, profile, context.functions)
        if operator.kind is OpKind.RESHAPE:
            context.origins[output] = context.origin(operator.inputs[0])
        elif operator.kind is OpKind.CONCATENATION:
            lower_concatenation(context, joints[index])
        elif operator.kind is OpKind.STRIDED_SLICE:
            lower_slice(context)
        elif operator.kind is OpKind.TRANSPOSE:
            lower_transpose(context)
        elif function is None:
            context.layers.append(_LOWERINGS[operator.kind](context))
        elif output in stored:
            if not clamp_before(context, function, parts.body, outputs):
                context.layers.append(lower_lookup(context, function))
        else:
            context.functions[output] = function
    return Body(
        layers=tuple(context.layers),
        inputs=inputs,
        outputs=outputs,
        tensors=context.tensors,
        layouts=context.layouts,
        origins=context.origins,
        views=context.views,
    )


def _input_layout(
    graph: Graph, index: int, consumers: list[Operator], config: NpuConfig, frugality: int
) -> Layout:
    shape = graph.tensors[index].shape
    size = prod(shape)
    kinds = {operator.kind for operator in consumers}
    if kinds == {OpKind.CONV_2D} and len(consumers) == 1:
        layouts = input_layouts(graph, consumers[0], config.rows)
        return layouts[min(frugality, len(layouts) - 1)]
    if kinds == {OpKind.FULLY_CONNECTED}:
        depths = {graph.tensors[operator.inputs[1]].shape[1] for operator in consumers}
        if len(depths) == 1:
            depth = depths.pop()
            return PixelLayout(size // depth, depth)
    channels = shape[-1] if shape else 1
    return PixelLayout(size // channels, channels)


def _reshaped_products(graph: Graph, parts: Partition) -> dict[int, int]:
    """Products whose rows are only used reshaped: {tensor: channels of the reshaped}.

    A row of a matrix product can be stored in pixels of any size that divides it, as its columns
    may stand in any order.
    """
    found = {}
    for index in parts.body:
        operator = graph.operators[index]
        output = operator.outputs[0]
        if operator.kind is not OpKind.FULLY_CONNECTED:
            continue
        units = graph.tensors[operator.inputs[1]].shape[0]
        users = [graph.operators[i] for i in parts.body if output in graph.operators[i].inputs]
        shapes = [graph.tensors[user.outputs[0]].shape for user in users]
        channels = {shape[-1] if shape else 1 for shape in shapes}
        if {user.kind for user in users} == {OpKind.RESHAPE} and len(channels) == 1:
            pixel = channels.pop()
            if units % pixel == 0:
                found[output] = pixel
    return found


def _stored(graph: Graph, parts: Partition, outputs: Collection[int]) -> set[int]:
    """Tensors that must be stored whatever makes them: not only elementwise operators use them."""
    stored = set(outputs)
    for index in parts.body:
        operator = graph.operators[index]
        if operator.kind not in ELEMENTWISE_KINDS:
            stored.update(operator.inputs)
    return stored


def _outputs(graph: Graph, parts: Partition) -> tuple[int, ...]:
    """Tensors of the body that the epilogue or the user takes."""
    made = [graph.operators[index].outputs[0] for index in parts.body]
    wanted = {*variable_inputs(graph, parts.epilogue), *graph.outputs}
    return tuple(index for index in made if index in wanted)
