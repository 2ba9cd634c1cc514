"""How tensors lie in the scratchpad: vectors of R channels, pixel after pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


@dataclass(frozen=True)
class PixelLayout:
    """`pixels` of `channels` each, every pixel padded to whole vectors.

    The flat order of a tensor's elements is pixel-major whatever its shape, so that a tensor and
    its reshaped form share one layout.
    """

    pixels: int
    channels: int

    @property
    def packed(self) -> "PixelLayout":
        """The layout of the pixels as they are stored."""
        return self

    def pixel_vectors(self, rows: int) -> int:
        """Vectors of `rows` lanes that one pixel takes."""
        return ceil_div(self.channels, rows)

    def vectors(self, rows: int) -> int:
        """Vectors that the tensor takes."""
        return self.pixels * self.pixel_vectors(rows)

    def pack(self, values: NDArray[np.int8], rows: int) -> NDArray[np.int8]:
        """The tensor as vectors [n, rows], zeros in the padded lanes."""
        vectors = np.zeros((self.pixels, self.pixel_vectors(rows) * rows), np.int8)
        vectors[:, : self.channels] = values.reshape(self.pixels, self.channels)
        return vectors.reshape(-1, rows)

    def unpack(self, vectors: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.int8]:
        """The tensor of `shape` that vectors [n, rows] hold."""
        pixels = vectors.reshape(self.pixels, -1)[:, : self.channels]
        return np.ascontiguousarray(pixels).reshape(shape)

    def with_channels(self, channels: int, rows: int) -> "PixelLayout | None":
        """The same vectors seen as pixels of another size, or None where they can't be."""
        if channels == self.channels:
            return self
        if channels % rows or self.channels % rows or self.pixels * self.channels % channels:
            return None
        return PixelLayout(self.pixels * self.channels // channels, channels)


@dataclass(frozen=True)
class RowPackedLayout:
    """A network input stored as a convolution reads it, one kernel row to a pixel.

    Pixel (y, xo) holds the `kernel` * `channels` values under the kernel's row at input row y and
    output column xo, `padding` where that lies outside. Few input channels then fill whole vectors.
    Sizes are the input's; `stride`, `dilation`, `left` (padding) and `columns` (of the output) are
    the convolution's, along the width.
    """

    images: int
    height: int
    width: int
    channels: int
    kernel: int
    stride: int
    dilation: int
    left: int
    columns: int
    padding: int

    @property
    def packed(self) -> PixelLayout:
        """The layout of the packed pixels."""
        return PixelLayout(self.images * self.height * self.columns, self.kernel * self.channels)

    def pixel_vectors(self, rows: int) -> int:
        """Vectors of `rows` lanes that one packed pixel takes."""
        return self.packed.pixel_vectors(rows)

    def vectors(self, rows: int) -> int:
        """Vectors that the tensor takes."""
        return self.packed.vectors(rows)

    def pack(self, values: NDArray[np.int8], rows: int) -> NDArray[np.int8]:
        """The tensor as vectors [n, rows]."""
        image = values.reshape(self.images, self.height, self.width, self.channels)
        taps = np.arange(self.columns)[:, None] * self.stride - self.left
        taps = taps + np.arange(self.kernel) * self.dilation
        inside = (taps >= 0) & (taps < self.width)
        windows = image[:, :, np.where(inside, taps, 0)]
        windows[:, :, ~inside] = self.padding
        return self.packed.pack(windows, rows)


Layout = PixelLayout | RowPackedLayout
