"""Many inferences with layers on crossbar tiles at once, byte for byte as the machine makes them.

The graph's operators run on all samples together; the sums of a layer on the crossbar come from its
tiles, for the pixels of all samples in one go. A tile is driven as PRODUCT would drive it, and each
product has the number that it has when the machine makes one inference after the other, so that
noise is the same too.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.batch import batched
from celosia.compiler.compile import lower_model, simplified
from celosia.compiler.golden_run import load_machine, run_on_machine
from celosia.compiler.layers import ColumnTile, MatrixLayer
from celosia.compiler.layout import PixelLayout, ceil_div
from celosia.compiler.lowering import Body
from celosia.compiler.lowering.context import CROSSBAR_OFFSET
from celosia.compiler.names import short_name
from celosia.compiler.program import Program
from celosia.golden.crossbar.config import UNDRIVEN
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph, Tensor
from celosia.golden.interpreter import Interpreter
from celosia.golden.machine import ExactTiles
from celosia.golden.ops.matrix import constant, folded_bias
from celosia.golden.ops.stage import zero_point_of
from celosia.golden.quantization import Int64Array, wrap_int32

_SEED = 1


class NumberedTiles(Protocol):
    """Tiles whose products have numbers, such as `AnalogTiles`."""

    @property
    def products(self) -> int:
        """Products so far: the number of the next one."""
        ...

    def multiply_numbered(
        self, tile: int, inputs: NDArray[np.int8], numbers: Int64Array | None
    ) -> Int64Array:
        """Sums [n, C] of x + 128 for int8 vectors [n, rows of the tile]."""
        ...


class CrossbarBatch:
    """`count` inferences at once of a program with layers on the crossbar.

    Args:
        graph: what the program was compiled from, for one inference.
        program: the program.
        chosen: outputs of the operators that it has on the crossbar.
        count: inferences.

    Raises:
        CelosiaError: the network can't run in batches, or drives its tiles in a way that isn't
            known here (the machine runs it all the same).
    """

    def __init__(self, graph: Graph, program: Program, chosen: Collection[str], count: int) -> None:
        self.count = count
        simple = simplified(graph, program.profile)
        body = lower_model(simple, program.config, program.profile, chosen)
        recorder = _Recorder(program)
        machine = load_machine(program, tiles=recorder)
        sample = _random_sample([graph.tensors[index] for index in graph.inputs])
        outputs = run_on_machine(program, sample, machine)
        order = recorder.numbers
        self.products_of_one = recorder.products
        layers: dict[int, _TiledLayer] = {}
        first = 0
        for layer in body.layers:
            if isinstance(layer, MatrixLayer) and layer.crossbar:
                layers[layer.operator] = _TiledLayer(layer, first, simple, body, program, order)
                first += layers[layer.operator].tiles
        self._layers = tuple(layers.values())
        one = Interpreter(simple, program.profile, layers)
        self._check(one, sample, program, recorder, outputs)
        self._interpreter = Interpreter(batched(simple, count), program.profile, layers)

    def run(self, inputs: Sequence[NDArray[Any]], tiles: NumberedTiles) -> list[NDArray[Any]]:
        """The outputs for inputs of `count` samples stacked along dimension 0. One at a time.

        Raises:
            CelosiaError: the inputs aren't the network's.
        """
        for layer in self._layers:
            layer.use(tiles, self.products_of_one)
        return self._interpreter.run(inputs)

    def _check(
        self,
        interpreter: Interpreter,
        sample: Sequence[NDArray[Any]],
        program: Program,
        machine: "_Recorder",
        outputs: Sequence[NDArray[Any]],
    ) -> None:
        """One sample must drive the tiles as it did in the machine."""
        here = _Recorder(program)
        for layer in self._layers:
            layer.use(here, self.products_of_one)
        found = interpreter.run(sample)
        driven = all(
            np.array_equal(here.inputs(tile), machine.inputs(tile))
            for tile in range(len(program.crossbar))
        )
        if not driven or not all(map(np.array_equal, found, outputs)):
            raise CelosiaError(
                f"network '{program.name}' must be the program's, and drive its crossbar tiles "
                "pixel after pixel, to run in crossbar batches"
            )


class _Recorder(ExactTiles):
    """Exact tiles that remember what they were given, and in which order."""

    def __init__(self, program: Program) -> None:
        super().__init__(np.stack([tile.weights for tile in program.crossbar]))
        self.products = 0
        self._inputs: list[list[NDArray[np.int8]]] = [[] for _ in program.crossbar]
        self._numbers: list[list[Int64Array]] = [[] for _ in program.crossbar]

    @property
    def numbers(self) -> list[Int64Array]:
        """Numbers of the products of each tile."""
        return [np.concatenate(numbers) for numbers in self._numbers]

    def inputs(self, tile: int) -> NDArray[np.int8]:
        """What a tile was given, in the order of the numbers that it had [n, rows]."""
        return np.concatenate(self._inputs[tile])[np.argsort(np.concatenate(self._numbers[tile]))]

    def multiply(self, tile: int, inputs: NDArray[np.int8]) -> Int64Array:
        """Sums of exact tiles."""
        numbers = self.products + np.arange(len(inputs))
        self.products += len(inputs)
        return self.multiply_numbered(tile, inputs, numbers)

    def multiply_numbered(
        self, tile: int, inputs: NDArray[np.int8], numbers: Int64Array | None
    ) -> Int64Array:
        """Sums of exact tiles."""
        assert numbers is not None
        self._inputs[tile].append(inputs.copy())
        self._numbers[tile].append(numbers)
        return super().multiply(tile, inputs)


class _TiledLayer:
    """The sums of a convolution or matrix product from its tiles: a `MatrixProduct`."""

    def __init__(
        self,
        layer: MatrixLayer,
        first: int,
        graph: Graph,
        body: Body,
        program: Program,
        order: Sequence[Int64Array],
    ) -> None:
        node = graph.operators[layer.operator]
        tensors = [graph.tensors[index] if index >= 0 else None for index in node.inputs]
        x, weights = tensors[0], tensors[1]
        assert x is not None
        assert weights is not None
        bias = tensors[2] if len(tensors) > 2 else None
        matrix = constant(weights).reshape(weights.shape[0], -1).T
        zero_point = zero_point_of(x)
        self._offset = folded_bias(
            matrix, None if bias is None else bias.data, zero_point + CROSSBAR_OFFSET
        )
        self._lanes, self._tile_rows = program.config.rows, _tile_rows(program)
        self._window = layer.window.size
        channels = matrix.shape[0] // math.prod(self._window)
        if channels % self._lanes and layer.source not in body.inputs:
            # Lanes without a channel have what the tiles before made of them.
            raise CelosiaError(
                f"layer '{short_name(layer.name)}' must have a multiple of {self._lanes} input "
                f"channels to run in crossbar batches, not {channels}"
            )
        boxes = layer.tiles[0].boxes
        self._boxes = [
            tuple(slice(a, a + n) for a, n in zip(box.first, box.size, strict=True))
            for box in boxes
        ]
        outputs = matrix.shape[1]
        layout = body.layouts.get(layer.output)
        pixel = layout.channels if isinstance(layout, PixelLayout) else outputs
        self._outputs = [
            _channels_of(tile, pixel, outputs, self._lanes, program.config.columns)
            for tile in layer.tiles
        ]
        self.tiles = len(layer.tiles) * len(boxes)
        self._first = first
        self._order = order
        self._engine: NumberedTiles | None = None
        self._base = self._products_of_one = 0

    def use(self, engine: NumberedTiles, products_of_one: int) -> None:
        """Take the sums of the next runs from these tiles."""
        self._engine, self._base = engine, engine.products
        self._products_of_one = products_of_one

    def compute(self, x: NDArray[np.float32]) -> Int64Array:
        """Accumulators [m, n] of rows [m, k], those of one sample behind those of another."""
        assert self._engine is not None
        vectors = self._vectors(x.astype(np.int8))
        sums = np.repeat(self._offset[None], len(x), axis=0)
        for index, box in enumerate(self._boxes):
            driven = vectors[:, *box].reshape(len(x), -1)
            inputs = np.full((len(x), self._tile_rows), UNDRIVEN, np.int8)
            inputs[:, : driven.shape[1]] = driven
            for column, (columns, channels) in enumerate(self._outputs):
                tile = self._first + column * len(self._boxes) + index
                found = self._engine.multiply_numbered(tile, inputs, self._numbers(tile, len(x)))
                sums[:, channels] += found[:, columns]
        return wrap_int32(sums)

    def _vectors(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Rows [m, k] as [m, kernel y, kernel x, vector, lane], packed as the host packs them."""
        shaped = x.reshape(len(x), *self._window, -1)
        channels = shaped.shape[-1]
        vectors = ceil_div(channels, self._lanes)
        padded = np.zeros((*shaped.shape[:3], vectors * self._lanes), np.int8)
        padded[..., :channels] = shaped
        return padded.reshape(*shaped.shape[:3], vectors, self._lanes)

    def _numbers(self, tile: int, rows: int) -> Int64Array:
        one = self._order[tile]
        samples = np.arange(rows // len(one))[:, None]
        numbers: Int64Array = (self._base + samples * self._products_of_one + one).ravel()
        return numbers


def _tile_rows(program: Program) -> int:
    """Rows of the program's tiles."""
    assert program.config.crossbar is not None
    return program.config.crossbar.rows


def _channels_of(
    tile: ColumnTile, pixel: int, channels: int, lanes: int, columns: int
) -> tuple[Int64Array, Int64Array]:
    """The columns of a tile that have an output channel, and these channels."""
    lane = tile.slice * columns + np.arange(columns)
    place = tile.output_vector * lanes + lane
    stored = ceil_div(pixel, lanes) * lanes
    channel = place // stored * pixel + place % stored
    used = (lane < tile.output_vectors * lanes) & (place % stored < pixel) & (channel < channels)
    return np.flatnonzero(used), channel[used]


def _random_sample(inputs: Sequence[Tensor]) -> list[NDArray[Any]]:
    """A sample that drives every bit: int8 over its whole range, floats normal."""
    rng = np.random.default_rng(_SEED)
    return [
        rng.integers(-128, 128, tensor.shape).astype(tensor.dtype)
        if np.issubdtype(tensor.dtype, np.integer)
        else rng.standard_normal(tensor.shape).astype(tensor.dtype)
        for tensor in inputs
    ]
