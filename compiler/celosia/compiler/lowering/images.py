"""Tensors of any rank as images, channels last."""

from collections.abc import Sequence
from math import prod


def pixel_image(shape: Sequence[int]) -> tuple[int, int, int]:
    """Images, height and width of a tensor's pixels: all its dimensions but the last."""
    pixels = (1, 1, 1, *shape[:-1])
    return prod(pixels[:-2]), pixels[-2], pixels[-1]
