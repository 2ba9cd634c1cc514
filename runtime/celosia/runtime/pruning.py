"""Pruning a model for a configuration, and what that does to its cycles."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.compile import compile_model
from celosia.compiler.program import Program
from celosia.compiler.pruning import (
    BlockedLayer,
    Masks,
    blocked_layers,
    magnitude_masks,
    masked,
    refitted,
)
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.graph import Graph
from celosia.golden.memory_map import Counter
from celosia.golden.ops.matrix import constant
from celosia.runtime.inputs import Sample


@dataclass(frozen=True)
class PrunedLayer:
    """A layer of weight tiles before and after.

    `sparsity` is the share of its weights that are zero now, `tiles` how many weight tiles it has,
    `skipped` how many of these the program leaves out. Cycles are the cycle model's, None where the
    network doesn't fit the configuration.
    """

    name: str
    op: str
    weights: str
    pruned: bool
    sparsity: float
    tiles: int
    skipped: int
    cycles_before: int | None
    cycles_after: int | None


@dataclass(frozen=True)
class PruneReport:
    """What pruning did."""

    model: str
    config: str
    layers: tuple[PrunedLayer, ...]
    sparsity: float
    cycles_before: int | None
    cycles_after: int | None

    @property
    def tiles(self) -> int:
        """Weight tiles of all layers."""
        return sum(layer.tiles for layer in self.layers)

    @property
    def skipped(self) -> int:
        """Weight tiles that the program leaves out."""
        return sum(layer.skipped for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """The report as `celosia prune --json` prints it."""
        return {**asdict(self), "tiles": self.tiles, "skipped": self.skipped}


@dataclass(frozen=True)
class Pruned:
    """A pruned network, the masks that made it, and the report."""

    graph: Graph
    masks: Masks
    report: PruneReport


def prune(
    graph: Graph,
    config: NpuConfig,
    sparsity: float | None,
    masks: Masks,
    calibration: Sequence[Sample] = (),
    *,
    all_layers: bool = False,
) -> Pruned:
    """Prune a network by masks, by magnitude, or first the one and then the other.

    Without `all_layers` magnitude leaves the first and the last layer as they are. With samples for
    `calibration` the weights that are left and the biases are refitted.

    Raises:
        CelosiaError: the sparsity is none, neither way is given, or there is nothing to prune.
    """
    if sparsity is None and not masks:
        raise CelosiaError("what to prune must be given: --sparsity S, --mask M.npz, or both")
    if sparsity is not None and not (isfinite(sparsity) and 0 <= sparsity <= 1):
        raise CelosiaError(f"sparsity must be from 0 to 1, not {sparsity:g}")
    layers = blocked_layers(graph, config)
    if not layers and not masks:
        raise CelosiaError(
            f"model '{graph.name}' must have convolutions or matrix products with weights of their "
            "own on the NPU to be pruned"
        )
    chosen = layers if all_layers else layers[1:-1]
    if sparsity is not None:
        if not chosen:
            raise CelosiaError(
                f"model '{graph.name}' must have layers between its first and its last one to be "
                "pruned; --all-layers prunes these too"
            )
        masks = magnitude_masks(graph, chosen, sparsity, masks)
    pruned = refitted(graph, masks, calibration) if calibration else masked(graph, masks)
    return Pruned(pruned, masks, _report(graph, pruned, config, layers, masks))


def changed_constants(graph: Graph, pruned: Graph) -> dict[int, NDArray[Any]]:
    """The constants of a pruned network that aren't the original's, by their indices."""
    pairs = enumerate(zip(graph.tensors, pruned.tensors, strict=True))
    return {
        index: after.data
        for index, (before, after) in pairs
        if after.data is not None and after.data is not before.data
    }


def _report(
    graph: Graph, pruned: Graph, config: NpuConfig, layers: Sequence[BlockedLayer], masks: Masks
) -> PruneReport:
    before, after = _program(graph, config), _program(pruned, config)
    spent = [_cycles(program) for program in (before, after)]
    passes = {} if after is None else {layer.output: layer.passes for layer in after.layers}
    rows = []
    for layer in layers:
        node = graph.operators[layer.operator]
        weights = constant(pruned.tensors[layer.weights])
        output = node.outputs[0]
        empty = int(layer.empty(weights != 0).sum())
        rows.append(
            PrunedLayer(
                name=node.name,
                op=node.kind.value,
                weights=graph.tensors[layer.weights].name,
                pruned=layer.weights in masks,
                sparsity=_zeros([weights]),
                tiles=layer.count,
                skipped=layer.count - passes[output] if output in passes else empty,
                cycles_before=spent[0].get(output),
                cycles_after=spent[1].get(output),
            )
        )
    return PruneReport(
        model=graph.name,
        config=config.name,
        layers=tuple(rows),
        sparsity=_zeros([constant(pruned.tensors[layer.weights]) for layer in layers]),
        cycles_before=None if before is None else before.modelled.counters[Counter.CYCLES],
        cycles_after=None if after is None else after.modelled.counters[Counter.CYCLES],
    )


def _program(graph: Graph, config: NpuConfig) -> Program | None:
    try:
        return compile_model(graph, config)
    except DoesNotFit:
        return None


def _cycles(program: Program | None) -> dict[int, int]:
    """Cycles of every layer by its output."""
    if program is None:
        return {}
    spent = program.modelled.layers(len(program.layers))
    return {
        layer.output: counters[Counter.CYCLES]
        for layer, counters in zip(program.layers, spent, strict=True)
    }


def _zeros(arrays: Sequence[NDArray[Any]]) -> float:
    """The share of zeros."""
    size = sum(array.size for array in arrays)
    return round(1 - sum(int(np.count_nonzero(array)) for array in arrays) / size, 4)
