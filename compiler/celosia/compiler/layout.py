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
class Taps:
    """Where a kernel stands along one axis: `before` is the padding in front of the first input."""

    kernel: int
    stride: int
    dilation: int
    before: int
    outputs: int

    def positions(self) -> NDArray[np.int64]:
        """Input positions under each output's taps, some outside: [outputs, kernel]."""
        starts = np.arange(self.outputs, dtype=np.int64) * self.stride - self.before
        return starts[:, None] + np.arange(self.kernel, dtype=np.int64) * self.dilation


@dataclass(frozen=True)
class PackedLayout:
    """A network input stored as a convolution reads it: the values under its kernel in one pixel.

    Pixel (yo, xo) holds those under the taps of `vertical` output yo and `horizontal` output xo,
    `padding` where a tap lies outside. Few input channels then fill whole vectors. Kernel rows may
    be left to the convolution: `vertical` is then one tap at every input row. The other sizes are
    the input's.
    """

    images: int
    height: int
    width: int
    channels: int
    vertical: Taps
    horizontal: Taps
    padding: int

    @property
    def packed(self) -> PixelLayout:
        """The layout of the packed pixels."""
        return PixelLayout(
            self.images * self.vertical.outputs * self.horizontal.outputs,
            self.vertical.kernel * self.horizontal.kernel * self.channels,
        )

    def pixel_vectors(self, rows: int) -> int:
        """Vectors of `rows` lanes that one packed pixel takes."""
        return self.packed.pixel_vectors(rows)

    def vectors(self, rows: int) -> int:
        """Vectors that the tensor takes."""
        return self.packed.vectors(rows)

    def pack(self, values: NDArray[np.int8], rows: int) -> NDArray[np.int8]:
        """The tensor as vectors [n, rows]."""
        image = values.reshape(self.images, self.height, self.width, self.channels)
        y = self.vertical.positions()[:, None, :, None]
        x = self.horizontal.positions()[None, :, None, :]
        inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
        windows = image[:, np.where(inside, y, 0), np.where(inside, x, 0)]
        windows[:, ~inside] = self.padding
        return self.packed.pack(windows, rows)


Layout = PixelLayout | PackedLayout
