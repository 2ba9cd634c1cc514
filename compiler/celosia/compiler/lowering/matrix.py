"""Column tiles and parameter records: how weights and scales are laid out for the array."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import ColumnTile, PassBox, Scale
from celosia.compiler.layout import ceil_div
from celosia.compiler.lowering.passes import choose_boxes
from celosia.compiler.lowering.tiles import tile_boxes
from celosia.golden.config import NpuConfig
from celosia.golden.graph import Tensor
from celosia.golden.ops.stage import quantization_of, scale_of
from celosia.golden.quantization import (
    Int64Array,
    RoundingMode,
    effective_scale,
    effective_scale_float32,
    float32_scale_parts,
    float64_scale_parts,
    quantize_multiplier,
    wrap_int32,
)
from celosia.golden.rounding import BIAS_PLANES, record_planes

IDENTITY = (1 << 30, 1)
"""Multiplier and exponent that leave a value as it is, in mode DOUBLE."""
_EXPONENTS = (-128, 127)


@dataclass(frozen=True)
class Scales:
    """Multiplier and exponent [channels] of every output channel, as the requantiser takes them."""

    mode: RoundingMode
    multiplier: Int64Array
    exponent: Int64Array

    @property
    def uniform(self) -> Scale | None:
        """The scale of all channels, or None where they differ."""
        multiplier, exponent = int(self.multiplier[0]), int(self.exponent[0])
        same = (self.multiplier == multiplier).all() and (self.exponent == exponent).all()
        return (multiplier, exponent) if same else None

    @property
    def planes(self) -> int:
        """Byte planes of the shortest parameter record that is enough."""
        return record_planes(self.mode) if self.uniform is None else BIAS_PLANES


def channel_scales(
    x: Tensor, weights: Tensor, output: Tensor, channels: int, mode: RoundingMode
) -> Scales:
    """Scales of the output channels of a matrix product of `x` and `weights`."""
    scales = (scale_of(x), quantization_of(weights).scale, scale_of(output))
    if mode is RoundingMode.FLOAT32:
        multiplier, exponent = float32_scale_parts(effective_scale_float32(*scales))
    elif mode is RoundingMode.FLOAT64:
        multiplier, exponent = float64_scale_parts(effective_scale(*scales))
    else:
        multiplier, exponent = quantize_multiplier(effective_scale(*scales))
    low, high = _EXPONENTS
    # Below the field every product rounds to zero; above it every product saturates.
    vanished = (exponent < low) | (multiplier == 0)
    multiplier = np.where(vanished, 0, multiplier)
    exponents = np.where(vanished, 0, np.minimum(exponent, high)).astype(np.int64)
    return Scales(mode, np.broadcast_to(multiplier, channels), np.broadcast_to(exponents, channels))


def column_tiles(
    config: NpuConfig,
    weights: NDArray[np.int8],
    bias: Int64Array,
    scales: Scales,
    pixels: int,
    *,
    crossbar: bool = False,
) -> tuple[ColumnTile, ...]:
    """The column tiles of weights [out, kh, kw, in], for images of `pixels` outputs.

    `bias` [out] has the input's zero point folded in. For the crossbar, boxes are its tiles, zeros
    and all.
    """
    rows = config.rows
    out, kernel_h, kernel_w, channels = weights.shape
    vectors = ceil_div(channels, rows)
    # One more output channel, of zeros, stands for the array's unused columns.
    padded = np.zeros((kernel_h, kernel_w, vectors * rows, out + 1), weights.dtype)
    padded[:, :, :channels, :out] = weights.transpose(1, 2, 3, 0)
    planes = parameter_planes(bias, scales)
    at_once = min(pixels, config.accumulator_depth // 2)
    tiles = []
    for output_vector, output_vectors, slice_, column in _columns(config, out):
        block = padded[..., column].reshape(kernel_h, kernel_w, vectors, rows, config.columns)
        if crossbar:
            assert config.crossbar is not None
            boxes = tile_boxes((kernel_h, kernel_w, vectors), config.crossbar.rows // rows)
        else:
            boxes = choose_boxes((block != 0).any(axis=(3, 4)), at_once, config)
        tiles.append(
            ColumnTile(
                weights=np.concatenate([_passes(block, box) for box in boxes]),
                boxes=boxes,
                parameters=planes[:, column].tobytes(),
                output_vector=output_vector,
                output_vectors=output_vectors,
                slice=slice_,
            )
        )
    return tuple(tiles)


def _passes(block: NDArray[np.int8], box: PassBox) -> NDArray[np.int8]:
    """The weights [passes, R, C] of a box, out of all [kernel y, kernel x, input vector, R, C]."""
    taken = tuple(
        slice(first, first + size) for first, size in zip(box.first, box.size, strict=True)
    )
    return block[taken].reshape(-1, *block.shape[3:])


def _columns(config: NpuConfig, out: int) -> list[tuple[int, int, int, NDArray[np.intp]]]:
    """(output vector, vectors, slice, output channel of every column) of each tile.

    Columns without an output channel have the number `out`.
    """
    rows, columns = config.rows, config.columns
    column = np.arange(columns)
    result = []
    if columns >= rows:
        width = config.tile_vectors * rows
        for start in range(0, out, width):
            channel = np.where(column < width, start + column, out)
            vectors = ceil_div(min(width, out - start), rows)
            result.append((start // rows, vectors, 0, np.minimum(channel, out)))
    else:
        for vector_start in range(0, out, rows):
            for slice_ in range(config.tile_slices):
                lane = slice_ * columns + column
                channel = np.where(lane < rows, vector_start + lane, out)
                channel = np.minimum(channel, out)
                if (channel < out).any():
                    result.append((vector_start // rows, 1, slice_, channel))
    return result


def parameter_planes(bias: Int64Array, scales: Scales) -> NDArray[np.uint8]:
    """Byte planes of every channel's record, with one channel of zeros at the end: [planes, n]."""
    fields = (
        (wrap_int32(bias), BIAS_PLANES),
        (scales.exponent, 1),
        (scales.multiplier, scales.planes - BIAS_PLANES - 1),
    )
    planes = [
        ((values >> (8 * index)) & 0xFF).astype(np.uint8)
        for values, size in fields
        for index in range(size)
    ][: scales.planes]
    return np.pad(np.stack(planes), ((0, 0), (0, 1)))


def whole_vectors(
    values: NDArray[Any], pixel: int, rows: int, padding: Literal["constant", "edge"] = "constant"
) -> NDArray[Any]:
    """Output channels (the first axis) in pixels of `pixel`, each padded to whole vectors.

    `padding` is zeros, or the pixel's last value, which leaves equal values equal.
    """
    rest = values.shape[1:]
    pixels = values.reshape(-1, pixel, *rest)
    widths = [(0, 0), (0, -pixel % rows), *[(0, 0)] * len(rest)]
    return np.pad(pixels, widths, padding).reshape(-1, *rest)
