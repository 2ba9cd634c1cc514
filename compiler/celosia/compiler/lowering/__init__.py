"""From operators to layers: geometry in vectors, weights in tiles, scales in records."""

from celosia.compiler.lowering.body import Body, lower_body

__all__ = ["Body", "lower_body"]
