"""What the body of a network has become after lowering: layers of four kinds.

A layer knows its geometry in scratchpad vectors and its constants as bytes of the weight memory;
only addresses are still open. Tensors are named by their index in the graph, or behind it where
lowering has added them; a reshaped tensor goes by the name of its origin.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import OpKind
from celosia.golden.isa import Reduction
from celosia.golden.rounding import RoundingMode

Pair = tuple[int, int]
Triple = tuple[int, int, int]
Box = tuple[slice, slice, slice]
"""Rows, columns, and vectors of a pixel."""
Scale = tuple[int, int]
"""Multiplier and exponent."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How results are rounded, shifted and clamped."""

    mode: RoundingMode
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True, kw_only=True)
class Image:
    """Input images in the scratchpad; steps are in vectors."""

    count: int
    height: int
    width: int
    column_step: int
    padding: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: height, width and vectors of a pixel."""
        return self.height, self.width, self.column_step

    @property
    def row_step(self) -> int:
        """From one row to the next."""
        return self.width * self.column_step

    @property
    def step(self) -> int:
        """From one image to the next."""
        return self.height * self.row_step


@dataclass(frozen=True, kw_only=True)
class Window:
    """Kernel or pooling window: size, stride, dilation and where the first one starts."""

    size: Pair
    stride: Pair
    dilation: Pair
    origin: Pair

    def taps(self, axis: int, first: int, count: int, size: int) -> slice:
        """Input rows or columns, of `size`, from the first to the last under some outputs' taps."""
        start = self.origin[axis] + first * self.stride[axis]
        last = start + (count - 1) * self.stride[axis]
        last += (self.size[axis] - 1) * self.dilation[axis]
        return slice(min(max(start, 0), size), max(min(last + 1, size), 0))


@dataclass(frozen=True, kw_only=True)
class OutputImage:
    """Output images: `vectors` from one pixel to the next, of which a layer may write a part."""

    height: int
    width: int
    vectors: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: height, width and vectors of a pixel."""
        return self.height, self.width, self.vectors

    @property
    def step(self) -> int:
        """From one image to the next, in vectors."""
        return self.height * self.width * self.vectors


@dataclass(frozen=True, kw_only=True)
class PassBox:
    """The passes of one MATMUL: from `first`, `size` of each kernel y, kernel x, input vector."""

    first: Triple
    size: Triple

    @property
    def passes(self) -> int:
        """Weight tiles that it takes."""
        return math.prod(self.size)


@dataclass(frozen=True)
class MatmulWork:
    """What the MATMULs of a tile take: passes in all, and how many instructions."""

    passes: int
    matmuls: int
    settings: int

    @property
    def instructions(self) -> int:
        """MATMULs, and the settings between them."""
        return self.matmuls + self.settings

    @classmethod
    def of(cls, boxes: tuple[PassBox, ...]) -> "MatmulWork":
        """The work of a MATMUL for each box, chunk after chunk."""
        # A loop is set where its count isn't that of the MATMUL before.
        settings = sum(
            count != before
            for last, box in zip(boxes[-1:] + boxes[:-1], boxes, strict=True)
            for before, count in zip(last.size, box.size, strict=True)
        )
        return cls(sum(box.passes for box in boxes), len(boxes), settings)


@dataclass(frozen=True, kw_only=True)
class ColumnTile:
    """The share of a matrix layer that one set of array columns computes.

    Attributes:
        weights: int8 [passes, R, C], box after box; in a box passes run over kernel y, kernel x and
            input vector.
        boxes: the passes, without those that add only zeros.
        parameters: the parameter record.
        output_vector: first of the pixel's `output_vectors` vectors that it fills.
        slice: which lanes it fills where several tiles share a vector.
    """

    weights: NDArray[np.int8]
    boxes: tuple[PassBox, ...]
    parameters: bytes
    output_vector: int
    output_vectors: int
    slice: int

    @property
    def passes(self) -> int:
        """Weight tiles to a chunk."""
        return len(self.weights)

    @cached_property
    def work(self) -> MatmulWork:
        """What a chunk takes of MATRIX."""
        return MatmulWork.of(self.boxes)

    @cached_property
    def input_vectors(self) -> Pair:
        """First vector of a pixel that it reads, and the one behind the last."""
        return (
            min(box.first[2] for box in self.boxes),
            max(box.first[2] + box.size[2] for box in self.boxes),
        )


@dataclass(frozen=True, kw_only=True)
class DepthwiseTile:
    """The share of a depthwise layer that one accumulator vector holds.

    Attributes:
        weights: int8 [kernel height, kernel width, C].
        parameters: the parameter record.
        input_vector: the pixel's vector that it reads.
        output_vector: the pixel's vector that it fills.
        slice: which lanes it fills where several tiles share a vector.
        multiplier, lane, phase: which input lane each lane is made of, as in DEPTHWISE_WINDOW.
    """

    weights: NDArray[np.int8]
    parameters: bytes
    input_vector: int
    output_vector: int
    slice: int
    multiplier: int
    lane: int
    phase: int

    @property
    def input_vectors(self) -> Pair:
        """As for a `ColumnTile`."""
        return self.input_vector, self.input_vector + 1

    @property
    def output_vectors(self) -> int:
        """As for a `ColumnTile`."""
        return 1


SumTile = ColumnTile | DepthwiseTile


@dataclass(frozen=True)
class Chunk:
    """A rectangle of output pixels of one image, for which MATRIX sums at a time.

    `turned` says that DEPTHWISE's strip columns are rows of the image.
    """

    image: int
    row: int
    column: int
    rows: int
    columns: int
    turned: bool = False

    @property
    def pixels(self) -> int:
        """Accumulators that it takes."""
        return self.rows * self.columns


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What every layer has. `operator` is the index in the graph."""

    operator: int
    name: str
    kind: OpKind
    output: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class SumLayer(Layer):
    """A window over an image, summed in the accumulators and requantised.

    `scale` is that of all channels; where it is None, each tile's parameters hold its channels'.
    """

    source: int
    image: Image
    window: Window
    result: OutputImage
    scale: Scale | None
    finish: Finish

    def read_box(self, chunk: Chunk, tile: SumTile) -> Box:
        """What a tile reads of an input image for a chunk."""
        return (
            self.window.taps(0, chunk.row, chunk.rows, self.image.height),
            self.window.taps(1, chunk.column, chunk.columns, self.image.width),
            slice(*tile.input_vectors),
        )

    def written_box(self, chunk: Chunk, tile: SumTile) -> Box:
        """What it writes of an output image."""
        return (
            slice(chunk.row, chunk.row + chunk.rows),
            slice(chunk.column, chunk.column + chunk.columns),
            slice(tile.output_vector, tile.output_vector + tile.output_vectors),
        )


@dataclass(frozen=True, kw_only=True)
class MatrixLayer(SumLayer):
    """A convolution or matrix product: times column tiles, on the array.

    `crossbar` says that each box of a tile's passes is a crossbar tile instead, `alike` that most
    tiles have the same weights, which are stored once.
    """

    tiles: tuple[ColumnTile, ...]
    crossbar: bool = False
    alike: bool = False


@dataclass(frozen=True, kw_only=True)
class DepthwiseLayer(SumLayer):
    """A convolution channel by channel, on the depthwise engine."""

    tiles: tuple[DepthwiseTile, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """`count` vectors from offsets into both operands and the output; b starts over after
    `b_vectors`, if that isn't 0."""

    a: int
    b: int
    output: int
    count: int
    b_vectors: int


@dataclass(frozen=True, kw_only=True)
class ElementwiseLayer(Layer):
    """Sum or product of two tensors, through the tables of each.

    A function of one tensor is a sum that has it as both operands, and a second table of zeros.
    """

    product: bool
    a: int
    b: int
    runs: tuple[Run, ...]
    tables: tuple[bytes, bytes]
    multiplier: int
    exponent: int
    bias: int = 0
    finish: Finish


@dataclass(frozen=True, kw_only=True)
class PoolRegion:
    """Output rows and columns whose windows hold equally many taps, and how these are scaled."""

    row: int
    column: int
    rows: int
    columns: int
    finish: Finish
    multiplier: int
    exponent: int
    bias: int


@dataclass(frozen=True, kw_only=True)
class PoolLayer(Layer):
    """Windows reduced per channel, in `vectors` of each pixel."""

    source: int
    image: Image
    window: Window
    result: OutputImage
    vectors: int
    reduction: Reduction
    regions: tuple[PoolRegion, ...]


AnyLayer = MatrixLayer | DepthwiseLayer | ElementwiseLayer | PoolLayer


def sources(layer: AnyLayer) -> tuple[int, ...]:
    """The tensors that a layer reads."""
    return (layer.a, layer.b) if isinstance(layer, ElementwiseLayer) else (layer.source,)


def engine_of(layer: AnyLayer) -> str:
    """What computes a layer, as reports call it."""
    match layer:
        case MatrixLayer():
            return "crossbar" if layer.crossbar else "systolic"
        case DepthwiseLayer():
            return "depthwise"
    return "vector"
