"""Estimated cycles: what each unit takes, and how MATRIX and POST overlap in a layer."""

from collections.abc import Iterable

from celosia.compiler.layers import AnyLayer, ElementwiseLayer, MatrixLayer, PoolLayer
from celosia.golden.config import NpuConfig

POST_OVERHEAD = 16
"""Cycles that an instruction of POST takes beside its vectors."""


def matmul_cycles(config: NpuConfig, passes: int, pixels: int) -> int:
    """Cycles of a MATMUL: a pass streams its pixels, but at least as long as a tile loads."""
    return passes * max(pixels, config.rows)


def drain_cycles(config: NpuConfig, pixels: int, vectors: int) -> int:
    """Cycles of a DRAIN: L outputs at a time."""
    groups = config.rows // config.requantizer_lanes
    return pixels * vectors * groups + POST_OVERHEAD


def pipelined_cycles(chunks: Iterable[tuple[int, int]]) -> int:
    """Cycles of a layer's chunks, each (MATMUL cycles, DRAIN cycles), over two halves."""
    computed = drained = freed = 0
    for matmul, drain in chunks:
        # A MATMUL waits for the DRAIN before the last, which had the same half.
        computed = max(computed, freed) + matmul
        freed = drained
        drained = max(drained, computed) + drain
    return drained


def post_cycles(config: NpuConfig, layer: ElementwiseLayer | PoolLayer) -> int:
    """Cycles of a layer that POST runs alone."""
    groups = config.rows // config.requantizer_lanes
    if isinstance(layer, ElementwiseLayer):
        return sum(run.count * max(2, groups) + POST_OVERHEAD for run in layer.runs)
    taps = layer.window.size[0] * layer.window.size[1]
    return sum(
        layer.image.count * region.rows * region.columns * layer.result.vectors * max(taps, groups)
        + POST_OVERHEAD
        for region in layer.regions
    )


def layer_passes(layer: AnyLayer) -> int:
    """Weight tiles that one chunk of every column tile takes; 0 where the array isn't used."""
    return sum(tile.passes for tile in layer.tiles) if isinstance(layer, MatrixLayer) else 0
