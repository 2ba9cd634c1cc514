"""Networks on crossbar tiles: which layers, how many tiles, which ranges of the converters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.golden_run import load_machine, run_on_machine
from celosia.compiler.program import ProgrammingPlan
from celosia.compiler.program_file import AnyProgram
from celosia.compiler.streaming import StreamedProgram, compile_network, run_pieces
from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.commands import Scheme
from celosia.golden.crossbar.config import MAXIMUM_TILES, CrossbarConfig
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import driven_bits, gain_for
from celosia.golden.crossbar.recipe import settings_for
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph, OpKind
from celosia.golden.machine import ExactTiles
from celosia.golden.quantization import Int64Array
from celosia.golden.rounding import RoundingProfile

KINDS = (OpKind.CONV_2D, OpKind.FULLY_CONNECTED)
"""Operators that crossbar tiles can compute."""
_ROWS = 64
_LEAST_TILES = 64
"""Tiles of a default crossbar at least: small networks then share one simulation."""


def default_crossbar(config: NpuConfig, fields: Mapping[str, Any]) -> CrossbarConfig:
    """Tiles for a configuration that has none: 64 rows or what its array needs, cells of 4 bits.

    `fields` are those of `CrossbarConfig` that aren't to be what they are by default: limits that
    let a device's pulses through, the mapping of weights.
    """
    rows = max(_ROWS, 1 << (config.rows - 1).bit_length())
    whole = CrossbarConfig(tiles=MAXIMUM_TILES, rows=rows, outputs=config.columns, adcs=1, **fields)
    return replace(whole, adcs=converters_for(whole.columns))


def converters_for(columns: int) -> int:
    """Converters of a default tile: as many as divide its columns, up to 16."""
    return max(n for n in range(1, 17) if columns % n == 0)


def placeable(graph: Graph) -> dict[str, OpKind]:
    """Every operator of a network by its output's name."""
    return {graph.tensors[node.outputs[0]].name: node.kind for node in graph.operators}


def chosen_layers(graph: Graph, engine: str, places: Sequence[str]) -> set[str]:
    """Outputs of the operators that go on the crossbar.

    `engine` is that of all layers that may go on either, `places` are exceptions `LAYER=ENGINE`,
    where LAYER is an output's name or a part of it that no other operator's has.

    Raises:
        CelosiaError: no such layer or engine, or a layer that can't go on the crossbar.
    """
    kinds = placeable(graph)
    chosen = {name for name, kind in kinds.items() if kind in KINDS and engine == "crossbar"}
    for place in places:
        name, separator, wanted = place.rpartition("=")
        if not separator or wanted not in ("systolic", "crossbar"):
            raise CelosiaError(f"--place must be LAYER=systolic or LAYER=crossbar, not {place!r}")
        name = _named(kinds, name)
        if kinds[name] not in KINDS:
            raise CelosiaError(
                f"layer {name!r} ({kinds[name].value}) must be a convolution or a matrix product "
                f"to be placed"
            )
        if wanted == "crossbar":
            chosen.add(name)
        else:
            chosen.discard(name)
    return chosen


def _named(kinds: Mapping[str, OpKind], name: str) -> str:
    """The operator that has this name, or a part of it that no other has."""
    found = [name] if name in kinds else [each for each in kinds if name and name in each]
    if len(found) == 1:
        return found[0]
    if found:
        raise CelosiaError(f"layer must be one, and {name!r} is a part of {', '.join(found)}")
    layers = ", ".join(each for each, kind in kinds.items() if kind in KINDS)
    raise CelosiaError(f"layer must be one of {layers}, not {name!r}")


def compile_placed(
    graph: Graph,
    config: NpuConfig,
    profile: RoundingProfile | None,
    chosen: Collection[str],
    samples: Sequence[Sequence[NDArray[Any]]],
    fields: Mapping[str, Any],
    *,
    batch: int = 1,
    overlap: bool = False,
) -> AnyProgram:
    """Compile a network with some layers on the crossbar, whose ranges fit some samples.

    Samples are what a run takes: batches of `batch` inferences. A configuration without a crossbar
    gets one of as many tiles as it takes, with `fields`.

    Raises:
        CelosiaError: as `compile_network` does.
    """
    if config.crossbar is None:
        sizes = default_crossbar(config, fields)
        whole = replace(config, crossbar=sizes)
        needed = len(compile_network(graph, whole, profile, crossbar=chosen).crossbar)
        tiles = max(_LEAST_TILES, 1 << (needed - 1).bit_length()) if needed else 1
        config = replace(config, crossbar=replace(sizes, tiles=tiles))
    program = compile_network(graph, config, profile, batch=batch, overlap=overlap, crossbar=chosen)
    return calibrated(program, samples)


def planned(program: AnyProgram, device: str) -> AnyProgram:
    """The program with the plan of how tiles of a device, a preset or a file, are programmed.

    Raises:
        CelosiaError: no such device, or its levels or pulses don't fit the crossbar.
    """
    sizes = program.config.crossbar
    if not program.crossbar or sizes is None:
        return program
    settings = settings_for(load_device(device), sizes, Scheme.STEP)
    return replace(program, programming=ProgrammingPlan(device, settings))


def calibrated(program: AnyProgram, samples: Sequence[Sequence[NDArray[Any]]]) -> AnyProgram:
    """The program with converter ranges that the largest sums of some samples just fill.

    Sums are those of each driven bit and column of a tile, exactly computed. Larger ones, of other
    samples, saturate: the controller then issues the bit again in halves.
    """
    if not program.crossbar:
        return program
    sizes = program.config.crossbar
    assert sizes is not None
    return program.with_tiles(
        [
            replace(tile, adc_gain=gain_for(float(peak), sizes))
            for tile, peak in zip(program.crossbar, peak_sums(program, samples), strict=True)
        ]
    )


def peak_sums(program: AnyProgram, samples: Sequence[Sequence[NDArray[Any]]]) -> list[int]:
    """The largest sum of levels that a driven bit of some samples gives a column of each tile."""
    recorder = _Recorder(program)
    if isinstance(program, StreamedProgram):
        for sample in samples:
            run_pieces(program, sample, recorder)
    else:
        machine = load_machine(program, tiles=recorder)
        for sample in samples:
            run_on_machine(program, sample, machine)
    peaks: list[int] = recorder.peaks.tolist()
    return peaks


class _Recorder(ExactTiles):
    """Exact tiles that remember the largest sum of levels of a bit and a column."""

    def __init__(self, program: AnyProgram) -> None:
        super().__init__(np.stack([tile.weights for tile in program.crossbar]))
        sizes = program.config.crossbar
        assert sizes is not None
        self._levels = [levels_of(tile.weights, sizes) for tile in program.crossbar]
        self.peaks = np.zeros(len(self._levels), np.int64)

    def multiply(self, tile: int, inputs: NDArray[np.int8]) -> Int64Array:
        """Sums of exact tiles, after a look at what their columns carry."""
        bits = driven_bits(inputs, unsigned=True).reshape(-1, inputs.shape[1])
        sums = bits.astype(np.float32) @ self._levels[tile].astype(np.float32)
        self.peaks[tile] = max(self.peaks[tile], int(sums.max(initial=0)))
        return super().multiply(tile, inputs)
