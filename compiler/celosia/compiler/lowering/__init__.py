"""From operators to layers: geometry in vectors, weights in tiles, scales in records."""

from celosia.compiler.lowering.body import Body, lower_body
from celosia.compiler.lowering.convolution import MOST_LAYOUTS

__all__ = ["MOST_LAYOUTS", "Body", "lower_body"]
