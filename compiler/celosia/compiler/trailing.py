"""Layers whose results may follow their input through one part of the scratchpad.

A layer reads its image from the top down, and stores its results in the same order: where they
grow no faster than what it has read, they can take the place of that. The result then starts a lead
before the source, so that nothing is stored over what is still to be read.
"""

from collections.abc import Mapping

from celosia.compiler.layers import DepthwiseLayer, MatrixLayer
from celosia.compiler.lowering import Body
from celosia.compiler.tiling import most_rows
from celosia.golden.config import NpuConfig


def trailing_leads(body: Body, config: NpuConfig) -> Mapping[int, int]:
    """By layer: vectors by which its source must start behind its result, if both share vectors.

    Only layers between tensors that own their storage are among them. Whether the source is needed
    later, and the result made earlier, is for the caller to see.
    """
    return {
        index: _lead(layer, config)
        for index, layer in enumerate(body.layers)
        if isinstance(layer, (MatrixLayer, DepthwiseLayer))
        and layer.source not in body.views
        and layer.output not in body.views
    }


def _lead(layer: MatrixLayer | DepthwiseLayer, config: NpuConfig) -> int:
    """The largest way from what may still be read to the end of what may have been stored.

    Chunks go through an image in bands of rows. While one tile of a chunk reads its band, others,
    and chunks beside it, may have been stored to the band's end.
    """
    image, result = layer.image, layer.result
    height = result.height
    band = most_rows(layer, config)
    row = result.width * result.vectors
    largest: int = max(
        min(first + band, height) * row
        - layer.window.taps(0, first, 1, image.height).start * image.row_step
        for first in range(height)
    )
    # From image to image both go on by their steps.
    return largest + (image.count - 1) * max(result.step - image.step, 0)
