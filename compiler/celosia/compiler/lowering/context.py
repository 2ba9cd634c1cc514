"""What lowering knows while it walks over the body: layouts, and how to name what can't run."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from math import prod
from typing import NoReturn

from celosia.compiler.layers import AnyLayer
from celosia.compiler.layout import Layout, PackedLayout, PixelLayout, ceil_div
from celosia.compiler.lowering.functions import ByteFunction
from celosia.compiler.lowering.regrouping import regroup_layer
from celosia.compiler.lowering.uses import Uses
from celosia.compiler.lowering.views import View
from celosia.compiler.names import short_name
from celosia.compiler.partition import describe
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError, LeftOut
from celosia.golden.graph import Graph, Operator, Tensor
from celosia.golden.rounding import RoundingProfile

CROSSBAR_OFFSET = 128
"""Crossbar tiles are driven with x + 128, so that a zero point of -128 drives nothing."""


@dataclass
class LoweringContext:
    """The network being lowered, and the layouts of the tensors so far.

    Attributes:
        layers: made so far.
        tensors: the graph's, and what lowering adds to them.
        views: tensors that lie in another's storage.
        origins: the tensor whose storage a tensor has, for reshaped and regrouped ones.
        layouts: layout of each tensor that owns storage.
        functions: tensors that aren't stored, as functions of stored ones.
        pixel_channels: channels to a pixel of matrix products that are reshaped into an image.
        operator: index of the operator at hand.
        crossbar: names of the outputs of operators that go on crossbar tiles.
    """

    graph: Graph
    config: NpuConfig
    profile: RoundingProfile
    uses: Uses
    tensors: list[Tensor] = field(init=False)
    views: dict[int, View] = field(default_factory=dict)
    layers: list[AnyLayer] = field(default_factory=list)
    origins: dict[int, int] = field(default_factory=dict)
    layouts: dict[int, Layout] = field(default_factory=dict)
    functions: dict[int, ByteFunction] = field(default_factory=dict)
    pixel_channels: dict[int, int] = field(default_factory=dict)
    operator: int = 0
    crossbar: Collection[str] = ()

    def __post_init__(self) -> None:
        self.tensors = list(self.graph.tensors)

    @property
    def on_crossbar(self) -> bool:
        """Whether the operator at hand goes on crossbar tiles."""
        return self.output.name in self.crossbar

    @property
    def input_offset(self) -> int:
        """What is driven is an input plus this: 128 on the crossbar."""
        return CROSSBAR_OFFSET if self.on_crossbar else 0

    def fail(self, reason: str) -> NoReturn:
        """Refuse the operator at hand."""
        raise CelosiaError(f"{describe(self.graph, self.operator)} can't run: {reason}")

    def needs_vector_operations(self, what: str) -> None:
        """Refuse the operator at hand on an NPU that lacks what it takes."""
        if not self.config.vector_operations:
            raise LeftOut(
                f"{describe(self.graph, self.operator)} can't run: {what} needs vector "
                f"operations, which configuration '{self.config.name}' doesn't have "
                f"(vector_operations = false)"
            )

    @property
    def node(self) -> Operator:
        """The operator at hand."""
        return self.graph.operators[self.operator]

    def input(self, position: int) -> Tensor:
        """An input that the importer has checked to be there."""
        return self.graph.tensors[self.node.inputs[position]]

    def optional_input(self, position: int) -> Tensor | None:
        """An input that may be absent."""
        inputs = self.node.inputs
        present = position < len(inputs) and inputs[position] >= 0
        return self.graph.tensors[inputs[position]] if present else None

    @property
    def output(self) -> Tensor:
        """The output tensor."""
        return self.graph.tensors[self.node.outputs[0]]

    def origin(self, tensor: int) -> int:
        """The tensor that owns the storage of `tensor`."""
        return self.origins.get(tensor, tensor)

    def define(self, channels: int) -> int:
        """Give the output storage of its own, `channels` to a pixel; returns its index."""
        index = self.node.outputs[0]
        self.layouts[index] = PixelLayout(prod(self.output.shape) // channels, channels)
        return index

    def scratch(self, like: Tensor, layout: PixelLayout) -> int:
        """A tensor that the graph doesn't have, with storage of its own; returns its index."""
        index = len(self.tensors)
        self.tensors.append(replace(like, data=None))
        self.layouts[index] = layout
        return index

    def step(self, tensor: int, channels: int) -> int:
        """Vectors from one pixel of `channels` to the next, in a tensor's storage."""
        view = self.views.get(tensor)
        if view is not None and view.spaced:
            return view.step
        return ceil_div(channels, self.config.rows)

    def source(self, position: int = 0) -> tuple[int, Layout]:
        """Owner and layout of the storage that an input has."""
        index = self.node.inputs[position]
        if self.graph.tensors[index].data is not None:
            self.fail(
                f"input '{short_name(self.graph.tensors[index].name)}' must not be a constant"
            )
        owner = self.origin(index)
        return owner, self.layouts[owner]

    def pixels(self, channels: int, position: int = 0) -> tuple[int, PixelLayout]:
        """Owner and layout of an input as pixels of `channels`, into which it may be regrouped."""
        self.source(position)
        return self.regrouped(self.node.inputs[position], channels)

    def regrouped(self, tensor: int, channels: int) -> tuple[int, PixelLayout]:
        """Owner and layout of a tensor as pixels of `channels`.

        Where it can't be seen so as it lies, a layer is added, whose output it is from now on.
        """
        owner = self.origin(tensor)
        layout = self.layouts[owner]
        if isinstance(layout, PackedLayout):
            raise AssertionError("only the convolution that it was packed for reads a packed input")
        seen = layout.with_channels(channels, self.config.rows)
        if seen is not None:
            return owner, seen
        seen = PixelLayout(layout.pixels * layout.channels // channels, channels)
        output = self.scratch(self.tensors[tensor], seen)
        layer = regroup_layer(
            self.config,
            layout,
            channels,
            operator=self.operator,
            name=self.tensors[tensor].name,
            source=owner,
            output=output,
        )
        self.layers.append(layer)
        self.origins[tensor] = output
        return output, seen
