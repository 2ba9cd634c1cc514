"""Instructions of a whole body, with the semaphores that order its units.

MATMUL or DEPTHWISE i of the program uses half i mod 2 of the accumulators: it waits for DRAIN
i - 2, and DRAIN i waits for it. Chunks of pixels are the outer loop, column tiles the inner one, so
that a layer's pixels are complete in the order in which the next layer reads them;
`celosia.compiler.dependencies` lets each of them wait for its pixels. Every semaphore is back at
zero when the program ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from celosia.compiler.assembler import ImageBuilder
from celosia.compiler.dependencies import order_stores
from celosia.compiler.layers import (
    AnyLayer,
    Chunk,
    ColumnTile,
    DepthwiseLayer,
    DepthwiseTile,
    ElementwiseLayer,
    Finish,
    Image,
    MatrixLayer,
    PoolLayer,
    SumLayer,
    SumTile,
    Window,
)
from celosia.compiler.names import short_name
from celosia.compiler.program import CrossbarTile
from celosia.compiler.strips import Strip, strip_of
from celosia.compiler.tiling import Tiling, tables_loaded_in, tile_layers, walk
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.isa import (
    COORDINATE_BITS,
    Add,
    Depthwise,
    DepthwiseWindow,
    Drain,
    Halt,
    Instruction,
    LoadDepthwise,
    LoadParameters,
    LoadTable,
    LoadWeights,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
    Product,
    Semaphore,
    Unit,
)

_TILES_AT_ONCE = LoadWeights.limits("tiles")[1]
_VECTORS_AT_ONCE = Add.limits("count")[1]
_EXTENT = Pool.limits("rows")[1]  # as of its columns


@dataclass(frozen=True)
class LayerCode:
    """A layer's instructions are `first` up to `end` (excluded); `cycles` is an estimate."""

    layer: AnyLayer
    first: int
    end: int
    cycles: int


@dataclass(frozen=True)
class Code:
    """The program of a body, and the crossbar tiles that it uses."""

    instructions: tuple[Instruction, ...]
    layers: tuple[LayerCode, ...]
    crossbar: tuple[CrossbarTile, ...]


def generate(
    layers: Sequence[AnyLayer],
    addresses: Mapping[int, int],
    config: NpuConfig,
    image: ImageBuilder,
) -> Code:
    """Instructions for layers whose tensors stand at `addresses`; constants go into `image`.

    Raises:
        DoesNotFit: a size exceeds a field of the instruction set; the message names the layer.
    """
    return _Generator(layers, addresses, config, image).code()


class _Generator:
    def __init__(
        self,
        layers: Sequence[AnyLayer],
        addresses: Mapping[int, int],
        config: NpuConfig,
        image: ImageBuilder,
    ) -> None:
        self._layers = layers
        self._addresses = addresses
        self._config = config
        self._image = image
        self._instructions: list[Instruction] = []
        self._settings: dict[object, Instruction] = {}
        self._last_post = -1
        self._chunks: list[int] = []
        self._crossbar: list[CrossbarTile] = []

    def code(self) -> Code:
        codes = []
        tilings = tile_layers(self._layers, self._addresses, self._config)
        for index, (layer, tiling) in enumerate(zip(self._layers, tilings, strict=True)):
            first = len(self._instructions)
            tables = tables_loaded_in(self._layers, index)
            try:
                self._layer(layer, tiling, tables)
            except ValueError as error:
                raise DoesNotFit(
                    f"operator {layer.operator} ({layer.kind.value}, output "
                    f"'{short_name(layer.name)}') is too large for one instruction: {error}"
                ) from error
            self._change(self._last_post, mark=1)
            codes.append(LayerCode(layer, first, len(self._instructions), tiling.cycles))
        for position in self._chunks[:-2]:
            self._signal(position, Semaphore.DRAINED)
        self._emit(Halt())
        ordered = order_stores(self._instructions, self._config)
        return Code(tuple(ordered), tuple(codes), tuple(self._crossbar))

    def _layer(self, layer: AnyLayer, tiling: Tiling, tables: ElementwiseLayer | None) -> None:
        match layer:
            case MatrixLayer(crossbar=True):
                self._products(layer, tiling, tables)
            case MatrixLayer():
                self._matrix(layer, tiling, tables)
            case DepthwiseLayer():
                self._depthwise(layer, tiling, tables)
            case ElementwiseLayer():
                self._elementwise(layer)
            case PoolLayer():
                self._pool(layer)

    def _emit(self, instruction: Instruction) -> None:
        instruction.encode()
        if instruction.unit() is Unit.POST:
            self._last_post = len(self._instructions)
        self._instructions.append(instruction)

    def _set(self, key: object, instruction: Instruction) -> None:
        """Emit a setting unless it is what the unit already has."""
        if self._settings.get(key) != instruction:
            self._settings[key] = instruction
            self._emit(instruction)

    def _change(self, position: int, **fields: int) -> None:
        # A mark isn't a setting: those are compared by what they were before.
        self._instructions[position] = replace(self._instructions[position], **fields)

    def _signal(self, position: int, semaphore: Semaphore) -> None:
        self._change(position, signal=self._instructions[position].signal | semaphore)

    def _matrix(self, layer: MatrixLayer, tiling: Tiling, tables: ElementwiseLayer | None) -> None:
        _check_coordinates(layer, self._config.coordinate_bits)
        self._matrix_settings(layer)
        of_tiles = [tile.weights.tobytes() for tile in layer.tiles]
        if layer.alike:
            firsts = [self._image.add(weights, layer.name) for weights in of_tiles]
        else:
            weights = self._image.add(b"".join(of_tiles), layer.name)
            firsts = [
                weights + before * self._config.rows
                for before in accumulate((tile.passes for tile in layer.tiles), initial=0)
            ]
        once = len(tiling.chunks) == 1 and not layer.alike
        if once:
            # Every weight tile is used once, in the order in which they lie.
            self._load_weights(firsts[0], sum(tile.passes for tile in layer.tiles))
        for chunk, tile, number in walk(tiling.chunks, layer.tiles):
            if not once:
                self._load_weights(firsts[number], tile.passes)
            self._matmuls(layer, tile, chunk)
            self._finish(layer, tile, chunk, tables)

    def _finish(
        self, layer: SumLayer, tile: SumTile, chunk: Chunk, tables: ElementwiseLayer | None
    ) -> None:
        """Requantise and store a chunk's sums."""
        if layer.scale is not None:
            multiplier, exponent = layer.scale
            self._set("scale", PostScale(multiplier=multiplier, exponent=exponent))
        parameters = self._image.add(tile.parameters, layer.name)
        planes = len(tile.parameters) // self._config.columns
        self._set("parameters", LoadParameters(address=parameters, planes=planes))
        if tables is not None:
            # POST has nothing to do while the first chunk is computed.
            self._tables(tables)
        self._drain(layer, tile, chunk)

    def _matrix_settings(self, layer: MatrixLayer) -> None:
        self._matrix_image(layer.image, _steps(layer.image, layer.window))

    def _matrix_image(self, image: Image, steps: Mapping[int, tuple[int, int, int, int]]) -> None:
        self._set(
            "matrix input",
            MatrixInput(height=image.height, width=image.width, padding=image.padding),
        )
        for level in (0, 1):
            self._matrix_loop(level, steps[level])

    def _matrix_loop(self, level: int, setting: tuple[int, int, int, int]) -> None:
        count, step, y_step, x_step = setting
        bits = self._config.coordinate_bits
        if count >> bits:
            raise ValueError(f"iterations must be below {1 << bits}, not {count}")
        self._set(
            ("matrix", level),
            MatrixLoop(level=level, count=count, address_step=step, y_step=y_step, x_step=x_step),
        )

    def _depthwise(
        self, layer: DepthwiseLayer, tiling: Tiling, tables: ElementwiseLayer | None
    ) -> None:
        _check_coordinates(layer, self._config.coordinate_bits)
        strip = strip_of(self._config, layer.window, turned=tiling.chunks[0].turned)
        down, right = (1, layer.image.row_step, 1, 0), (1, layer.image.column_step, 0, 1)
        self._matrix_image(
            layer.image, dict(enumerate((right, down) if strip.turned else (down, right)))
        )
        firsts = [
            self._image.add(strip.words(self._config, tile.weights), layer.name)
            for tile in layer.tiles
        ]
        vectors = strip.steps * self._config.depthwise_taps
        for chunk, tile, number in walk(tiling.chunks, layer.tiles):
            self._emit(LoadDepthwise(address=firsts[number], vectors=vectors))
            self._depthwise_chunk(layer, tile, chunk, strip)
            self._finish(layer, tile, chunk, tables)

    def _depthwise_chunk(
        self, layer: DepthwiseLayer, tile: DepthwiseTile, chunk: Chunk, strip: Strip
    ) -> None:
        self._set(
            "window",
            DepthwiseWindow(
                rows=strip.kernel[0],
                columns=strip.kernel[1],
                groups=strip.groups,
                stride_y=strip.stride[0],
                stride_x=strip.stride[1],
                multiplier=tile.multiplier,
                lane=tile.lane,
                phase=tile.phase,
            ),
        )
        index = len(self._chunks)
        offset, y, x = _start(layer.image, layer.window, chunk.image, chunk.row, chunk.column)
        rows, columns = strip.outputs(chunk)
        strip_rows, strip_columns = strip.size((rows, columns))
        self._emit(
            Depthwise(
                address=self._addresses[layer.source] + offset + tile.input_vector,
                y=y,
                x=x,
                accumulator=self._half(index),
                rows=rows,
                columns=columns,
                strip_rows=strip_rows,
                strip_columns=strip_columns,
                wait=Semaphore.DRAINED if index >= 2 else Semaphore.NONE,
                signal=Semaphore.ACCUMULATED,
            )
        )

    def _products(
        self, layer: MatrixLayer, tiling: Tiling, tables: ElementwiseLayer | None
    ) -> None:
        """A layer on crossbar tiles, one for each box of a column tile."""
        _check_coordinates(layer, self._config.coordinate_bits)
        image = layer.image
        self._set(
            "matrix input",
            MatrixInput(height=image.height, width=image.width, padding=image.padding),
        )
        firsts = []
        for tile in layer.tiles:
            firsts.append(len(self._crossbar))
            self._add_crossbar_tiles(layer, tile)
        for chunk, tile, number in walk(tiling.chunks, layer.tiles):
            self._product_chunk(layer, tile, chunk, firsts[number])
            self._finish(layer, tile, chunk, tables)

    def _add_crossbar_tiles(self, layer: MatrixLayer, tile: ColumnTile) -> None:
        sizes = self._config.crossbar
        assert sizes is not None
        begin = 0
        for box in tile.boxes:
            rows = tile.weights[begin : begin + box.passes].reshape(-1, self._config.columns)
            weights = np.zeros((sizes.rows, self._config.columns), np.int8)
            weights[: len(rows)] = rows
            self._crossbar.append(CrossbarTile(weights, driven=len(rows)))
            begin += box.passes
        if len(self._crossbar) > sizes.tiles:
            # No `DoesNotFit`: other pieces need no fewer tiles.
            raise CelosiaError(
                f"operator {layer.operator} ({layer.kind.value}, output "
                f"'{short_name(layer.name)}') doesn't fit on the crossbar: its tiles must be more "
                f"than {sizes.tiles}"
            )

    def _product_chunk(
        self, layer: MatrixLayer, tile: ColumnTile, chunk: Chunk, first: int
    ) -> None:
        """A PRODUCT for each box: the first one waits, the last one signals."""
        index = len(self._chunks)
        offset, y, x = _start(layer.image, layer.window, chunk.image, chunk.row, chunk.column)
        steps = _steps(layer.image, layer.window)
        wait = Semaphore.DRAINED if index >= 2 else Semaphore.NONE
        for number, box in enumerate(tile.boxes):
            rows, columns, vectors = box.size
            # As PRODUCT wants them: what a tile takes inside, the pixels outside.
            counts = (vectors, columns, rows, chunk.columns, chunk.rows)
            at = [offset, y, x]
            for level, source in enumerate((2, 3, 4, 0, 1)):
                _, *step = steps[source]
                self._matrix_loop(level, (counts[level], step[0], step[1], step[2]))
                if level < 3:
                    start = box.first[2 - level]
                    at = [value + start * by for value, by in zip(at, step, strict=True)]
            self._emit(
                Product(
                    address=self._addresses[layer.source] + at[0],
                    y=at[1],
                    x=at[2],
                    accumulator=self._half(index),
                    vectors=vectors,
                    kernel_columns=columns,
                    tile=first + number,
                    accumulate=int(number > 0),
                    wait=wait if number == 0 else Semaphore.NONE,
                )
            )
        self._signal(len(self._instructions) - 1, Semaphore.ACCUMULATED)

    def _load_weights(self, address: int, tiles: int) -> None:
        for start in range(0, tiles, _TILES_AT_ONCE):
            self._emit(
                LoadWeights(
                    address=address + start * self._config.rows,
                    tiles=min(_TILES_AT_ONCE, tiles - start),
                )
            )

    def _matmuls(self, layer: MatrixLayer, tile: ColumnTile, chunk: Chunk) -> None:
        """A MATMUL for each box of passes: the first one waits, the last one signals."""
        index = len(self._chunks)
        offset, y, x = _start(layer.image, layer.window, chunk.image, chunk.row, chunk.column)
        steps = _steps(layer.image, layer.window)
        wait = Semaphore.DRAINED if index >= 2 else Semaphore.NONE
        for number, box in enumerate(tile.boxes):
            at = [offset, y, x]
            for level, first, size in zip((4, 3, 2), box.first, box.size, strict=True):
                _, *step = steps[level]
                self._matrix_loop(level, (size, step[0], step[1], step[2]))
                at = [start + first * by for start, by in zip(at, step, strict=True)]
            self._emit(
                Matmul(
                    address=self._addresses[layer.source] + at[0],
                    y=at[1],
                    x=at[2],
                    accumulator=self._half(index),
                    rows=chunk.rows,
                    columns=chunk.columns,
                    accumulate=int(number > 0),
                    wait=wait if number == 0 else Semaphore.NONE,
                )
            )
        self._signal(len(self._instructions) - 1, Semaphore.ACCUMULATED)

    def _drain(self, layer: SumLayer, tile: SumTile, chunk: Chunk) -> None:
        result = layer.result
        pixel = (chunk.image * result.height + chunk.row) * result.width + chunk.column
        rows, columns = chunk.rows, chunk.columns
        row_step, column_step = result.width * result.vectors, result.vectors
        if isinstance(layer, DepthwiseLayer) and not chunk.turned:
            # Sums come column by column.
            rows, columns, row_step, column_step = columns, rows, column_step, row_step
        self._post_output(layer.finish, row_step, column_step)
        self._emit(
            Drain(
                accumulator=self._half(len(self._chunks)),
                output=self._addresses[layer.output] + pixel * result.vectors + tile.output_vector,
                rows=rows,
                columns=columns,
                vectors=tile.output_vectors,
                slice=tile.slice,
                uniform=int(layer.scale is not None),
                wait=Semaphore.ACCUMULATED,
            )
        )
        self._chunks.append(self._last_post)

    def _half(self, index: int) -> int:
        return index % 2 * (self._config.accumulator_depth // 2)

    def _post_output(self, finish: Finish, row_step: int, column_step: int) -> None:
        self._set(
            "output",
            PostOutput(
                column_step=column_step,
                row_step=row_step,
                mode=finish.mode,
                zero_point=finish.zero_point,
                low=finish.low,
                high=finish.high,
            ),
        )

    def _tables(self, layer: ElementwiseLayer) -> None:
        for table, data in enumerate(layer.tables):
            address = self._image.add(data, layer.name)
            self._set(("table", table), LoadTable(address=address, table=table))

    def _elementwise(self, layer: ElementwiseLayer) -> None:
        self._tables(layer)
        self._post_output(layer.finish, 0, 0)
        self._set(
            "scale",
            PostScale(multiplier=layer.multiplier, exponent=layer.exponent, bias=layer.bias),
        )
        a, b, output = (self._addresses[t] for t in (layer.a, layer.b, layer.output))
        kind = Mul if layer.product else Add
        for run in layer.runs:
            # Where b starts over, an instruction ends with a whole round of it.
            round_ = run.b_vectors or 1
            most = max(_VECTORS_AT_ONCE // round_, 1) * round_
            for start in range(0, run.count, most):
                self._emit(
                    kind(
                        a=a + run.a + start,
                        b=b + run.b + (0 if run.b_vectors else start),
                        output=output + run.output + start,
                        count=min(most, run.count - start),
                        b_vectors=run.b_vectors,
                    )
                )

    def _pool(self, layer: PoolLayer) -> None:
        _check_coordinates(layer, COORDINATE_BITS)
        image, window, result = layer.image, layer.window, layer.result
        self._set(
            "post input",
            PostInput(
                height=image.height,
                width=image.width,
                padding=image.padding,
                reduction=layer.reduction,
            ),
        )
        steps = _steps(image, window)
        # POST's nest has the window inside and the pixels outside, MATRIX's the other way round.
        for level, (count, step, y_step, x_step) in (
            (0, steps[3]),
            (1, steps[4]),
            (2, (layer.vectors, 1, 0, 0)),
            (3, steps[0]),
            (4, steps[1]),
        ):
            self._set(
                ("post", level),
                PostLoop(level=level, count=count, address_step=step, y_step=y_step, x_step=x_step),
            )
        for region in layer.regions:
            self._post_output(region.finish, result.width * result.vectors, result.vectors)
            self._set(
                "scale",
                PostScale(multiplier=region.multiplier, exponent=region.exponent, bias=region.bias),
            )
            for number in range(image.count):
                self._pool_image(
                    layer, number, region.row, region.column, region.rows, region.columns
                )

    def _pool_image(
        self, layer: PoolLayer, number: int, row: int, column: int, rows: int, columns: int
    ) -> None:
        result = layer.result
        for y_out in range(row, row + rows, _EXTENT):
            for x_out in range(column, column + columns, _EXTENT):
                offset, y, x = _start(layer.image, layer.window, number, y_out, x_out)
                pixel = (number * result.height + y_out) * result.width + x_out
                self._emit(
                    Pool(
                        address=self._addresses[layer.source] + offset,
                        y=y,
                        x=x,
                        output=self._addresses[layer.output] + pixel * result.vectors,
                        rows=min(_EXTENT, row + rows - y_out),
                        columns=min(_EXTENT, column + columns - x_out),
                    )
                )


def _check_coordinates(layer: SumLayer | PoolLayer, bits: int) -> None:
    """The image, and no position inside or outside of it wraps around, in coordinates of `bits`."""
    longest = max(layer.image.height, layer.image.width)
    if longest >> bits:
        raise ValueError(f"sides of its image must be below {1 << bits}, not {longest}")
    lowest, highest = -(1 << bits - 1), (1 << bits - 1) - 1
    for axis, count in enumerate((layer.result.height, layer.result.width)):
        window = layer.window
        last = window.origin[axis] + (count - 1) * window.stride[axis]
        last += (window.size[axis] - 1) * window.dilation[axis]
        if window.origin[axis] < lowest:
            raise ValueError(f"coordinates must be at least {lowest}, not {window.origin[axis]}")
        if last > highest:
            raise ValueError(f"coordinates must be at most {highest}, not {last}")


def _steps(image: Image, window: Window) -> dict[int, tuple[int, int, int, int]]:
    """(count, address step, y step, x step) of MATRIX's levels."""
    (stride_y, stride_x), (dilation_y, dilation_x) = window.stride, window.dilation
    return {
        0: (1, stride_x * image.column_step, 0, stride_x),
        1: (1, stride_y * image.row_step, stride_y, 0),
        2: (image.column_step, 1, 0, 0),
        3: (window.size[1], dilation_x * image.column_step, 0, dilation_x),
        4: (window.size[0], dilation_y * image.row_step, dilation_y, 0),
    }


def _start(
    image: Image, window: Window, number: int, row: int, column: int
) -> tuple[int, int, int]:
    """Address offset, y and x of the first tap of an output pixel."""
    y = window.origin[0] + row * window.stride[0]
    x = window.origin[1] + column * window.stride[1]
    return number * image.step + y * image.row_step + x * image.column_step, y, x
