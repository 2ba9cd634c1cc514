"""What is in a program, as plain data for `--json` and as charts for a terminal."""

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from celosia.compiler.assembler import disassemble
from celosia.compiler.layout import PackedLayout
from celosia.compiler.program import CrossbarTile, HostStage, Port, Program
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.memory_map import Counter

SYMBOLS = string.ascii_letters + string.digits
"""Tensors of the memory chart, in order; more tensors start over."""

_BANDS = 16


def describe_program(program: Program) -> dict[str, Any]:
    """Everything but the instructions: ports, host operators, layers, tensors, memory in use."""
    config = program.config
    layers = program.modelled.layers(len(program.layers))
    instructions = len(disassemble(config, program.image, program.start))
    return {
        "model": program.name,
        "config": config.name,
        "rounding": str(program.profile),
        "batch": program.batch,
        "macs": program.macs,
        "cycles": program.modelled.counters[Counter.CYCLES],
        "cycles_source": "model",
        "instructions": instructions,
        "start": program.start,
        "entries": len(program.starts),
        "memory": {
            "scratchpad": {
                "used_bytes": scratchpad_vectors(program) * config.rows,
                "available_bytes": config.scratchpad_depth * config.rows,
            },
            "weights": {
                "used_bytes": len(program.image),
                "available_bytes": config.weight_depth * config.columns,
                "constant_bytes": program.start * config.columns,
            },
        },
        "inputs": [_describe_port(program, port) for port in program.inputs],
        "outputs": [_describe_port(program, port) for port in program.outputs],
        "host_before": _operators(program.prologue),
        "host_after": _operators(program.epilogue),
        "layers": [
            {
                "name": layer.name,
                "op": layer.op,
                "engine": layer.engine,
                "macs": layer.macs,
                "passes": layer.passes,
                "cycles": spent[Counter.CYCLES],
                "utilisation": round(layer.macs / (spent[Counter.CYCLES] * config.macs), 4),
                "instructions": layer.end - layer.first,
            }
            for layer, spent in zip(program.layers, layers, strict=True)
        ],
        **({} if not program.tile_layers else {"crossbar": _describe_own_tiles(program)}),
        "tensors": [
            {
                "name": place.name,
                "shape": list(place.shape),
                "address": place.address,
                "vectors": place.vectors,
                "first_layer": place.first,
                "last_layer": place.last,
            }
            for place in program.tensors
        ],
    }


def _describe_own_tiles(program: Program) -> dict[str, Any]:
    """The tiles that a program uses; as a piece of a network it has those of others too."""
    layers = {number: layer.name for number, layer in program.tile_layers.items()}
    return describe_crossbar(program.config.crossbar, program.crossbar, layers)


def describe_crossbar(
    sizes: CrossbarConfig | None, tiles: Sequence[CrossbarTile], layers: Mapping[int, str]
) -> dict[str, Any]:
    """The crossbar's sizes; of each tile that one of `layers` uses its cells and their levels."""
    assert sizes is not None
    spare = slice(sizes.outputs * sizes.output_columns, sizes.reference)
    columns = sizes.columns - (spare.stop - spare.start)
    described = []
    for number in sorted(layers):
        tile = tiles[number]
        levels = np.delete(levels_of(tile.weights, sizes)[: tile.driven], spare, axis=1)
        cells = tile.driven * columns
        described.append(
            {
                "tile": number,
                "layer": layers[number],
                "rows": tile.driven,
                "outputs": sizes.outputs,
                "cells": cells,
                "spare_cells": sizes.rows * sizes.columns - cells,
                "levels": np.bincount(levels.ravel(), minlength=sizes.levels).tolist(),
                "adc_gain": tile.adc_gain,
            }
        )
    return {
        "available": sizes.tiles,
        "rows": sizes.rows,
        "outputs": sizes.outputs,
        "spares": sizes.spares,
        "mapping": str(sizes.mapping),
        "slices": sizes.slices,
        "columns": sizes.columns,
        "cell_bits": sizes.cell_bits,
        "adc_bits": sizes.adc_bits,
        "tiles": described,
    }


def scratchpad_vectors(program: Program) -> int:
    """Vectors of the scratchpad up to the highest that a program uses."""
    return max(place.address + place.vectors for place in program.tensors)


def _describe_port(program: Program, port: Port) -> dict[str, Any]:
    packed = isinstance(port.layout, PackedLayout)
    return {
        "name": port.tensor.name,
        "shape": list(port.tensor.shape),
        "address": port.address,
        "vectors": port.vectors(program.config),
        "layout": "packed" if packed else "pixels",
    }


def _operators(stage: HostStage) -> list[str]:
    return [operator.kind.value for operator in stage.graph.operators]


def memory_chart(program: Program, columns: int) -> list[tuple[int, str]]:
    """The scratchpad over time: (first vector, tensor symbols) of each band, highest first.

    A character is a layer, for at most `columns` of them; it shows the tensor that takes most of
    the band at that layer, or a dot.
    """
    peak = scratchpad_vectors(program)
    bands = min(_BANDS, peak)
    layers = range(min(len(program.layers), columns))
    chart = []
    for band in reversed(range(bands)):
        low, high = peak * band // bands, peak * (band + 1) // bands
        chart.append((low, "".join(_occupant(program, layer, low, high) for layer in layers)))
    return chart


def _occupant(program: Program, layer: int, low: int, high: int) -> str:
    best, symbol = 0, "."
    for index, place in enumerate(program.tensors):
        if place.first <= layer <= place.last:
            share = min(high, place.address + place.vectors) - max(low, place.address)
            # A tensor that takes another's place is the newer of the two.
            if share >= max(best, 1):
                best, symbol = share, SYMBOLS[index % len(SYMBOLS)]
    return symbol
