"""From what the user names (model, configuration, rounding) to a run."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.crossbar import chosen_layers, compile_placed, planned
from celosia.compiler.importer import is_onnx, load_onnx, load_tflite
from celosia.compiler.program import Program
from celosia.compiler.program_file import MAGIC, AnyProgram, decode_program
from celosia.compiler.streaming import StreamedProgram, compile_network
from celosia.golden.config import NpuConfig, load_config
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulation import IDEAL
from celosia.golden.crossbar.recipe import limits_for
from celosia.golden.errors import CelosiaError
from celosia.golden.files import write_atomically
from celosia.golden.graph import Graph
from celosia.golden.rounding import RoundingProfile
from celosia.runtime.crossbar.tiles import TileOptions, program_tiles
from celosia.runtime.inputs import Sample, batches, load_samples, random_samples
from celosia.runtime.link.host_link import HostLink
from celosia.runtime.models import embedded_data
from celosia.runtime.run import RunResult, open_device, run_graph, run_program
from celosia.runtime.streaming import StreamedDevice, pieces_of, run_streamed

EMBEDDED = "digits"
"""Name of the model that the package carries."""

_SEED = 1
_CALIBRATION = 4
"""Random samples that set the ranges of crossbar tiles: their inputs are as large as any."""


@dataclass(frozen=True)
class Placement:
    """Which layers go on which engine, and what crossbar tiles are made of.

    `engine` is that of all layers that may go on either, `places` are exceptions `LAYER=ENGINE`.
    `device` is a preset or a TOML file; without, it is the one that the configuration's emulator
    stands for. `mapping` of weights is that of a crossbar which the configuration doesn't have.
    """

    engine: str = "systolic"
    places: tuple[str, ...] = ()
    device: str | None = None
    mapping: str | None = None


class Session:
    """A compiled network: the graph it came from, if it is known, and the program."""

    def __init__(
        self,
        program: Program | StreamedProgram,
        graph: Graph | None,
    ) -> None:
        self.program = program
        self.graph = graph
        self._run: Callable[[list[Sample]], RunResult] | None = None

    def samples(self, path: Path | None) -> list[Sample]:
        """Samples of the file, or a batch of random ones."""
        inputs, batch = self.program.sample_inputs, self.program.batch
        return random_samples(inputs, batch, _SEED) if path is None else load_samples(path, inputs)

    def open(
        self,
        device: str,
        waves: Path | None = None,
        pieces: str | None = None,
        link: HostLink | None = None,
        tiles: TileOptions | None = None,
    ) -> None:
        """Build or prepare the device; a board is found behind `link`.

        `tiles` say how crossbar tiles are made, where the program has some. `pieces` are those that
        it runs of a network in pieces, as `pieces_of` reads them; the golden machine runs the
        others.

        Raises:
            CelosiaError: there are no such pieces, waves are wanted of more than one, or the board
                isn't what the program was compiled for.
        """
        program, graph = self.program, self.graph
        if pieces is not None and isinstance(program, Program):
            raise CelosiaError(f"--pieces must be left out: '{program.name}' fits in one piece")
        made = None
        if program.crossbar:
            options = tiles or TileOptions()
            if device != "golden" and options.front_end == "physics":
                raise CelosiaError(
                    "--front-end physics needs --device golden: it isn't in hardware"
                )
            made = program_tiles(program, options)
        if isinstance(program, StreamedProgram):
            chosen = pieces_of(program, pieces)
            streamed = StreamedDevice(program, device, chosen, waves, link, made)
            self._run = partial(run_streamed, graph, program, streamed, device, tiles=made)
            return
        opened = open_device(device, program, waves=waves, link=link, tiles=made)
        if graph is None:
            self._run = partial(run_program, program, opened, device, tiles=made)
        else:
            self._run = partial(run_graph, graph, program, opened, device, tiles=made)

    def run(self, samples: list[Sample]) -> RunResult:
        """Run samples on the opened device."""
        if self._run is None:
            raise RuntimeError("open() comes before run()")
        return self._run(samples)

    def write_outputs(self, path: Path, outputs: list[NDArray[Any]]) -> None:
        """Write outputs: one array as .npy, several as .npz by their names."""
        buffer = io.BytesIO()
        if len(outputs) == 1:
            np.save(buffer, outputs[0])
        else:
            names = [tensor.name for tensor in self.program.signature_outputs.values()]
            arrays: dict[str, Any] = dict(zip(names, outputs, strict=True))
            np.savez(buffer, **arrays)
        write_atomically(path, buffer.getvalue())


def open_session(
    model: str,
    config: str,
    rounding: str | None,
    *,
    batch: int = 1,
    overlap: bool = False,
    placement: Placement | None = None,
) -> Session:
    """Compile a model for a configuration and a rounding profile, or load a program.

    Without a profile a network gets that of its format: `float32` for ONNX, `tflm` for TFLite.
    `batch` and `overlap` as in `compile_model`. A program file has its own of all these.

    Raises:
        CelosiaError: whatever of these can't be used.
    """
    content = _read(model)
    if content.startswith(MAGIC):
        return Session(decode_program(content), None)
    graph = _load(model, content)
    profile = None if rounding is None else _profile(rounding)
    npu = load_config(config)
    if placement is not None and (placement.engine != "systolic" or placement.places):
        device = _device(npu, placement)
        placed = _compile_placed(graph, npu, profile, placement, device, batch, overlap)
        return Session(planned(placed, device), graph)
    program = compile_network(graph, npu, profile, batch=batch, overlap=overlap)
    return Session(program, graph)


def _compile_placed(
    graph: Graph,
    npu: NpuConfig,
    profile: RoundingProfile | None,
    placement: Placement,
    device: str,
    batch: int,
    overlap: bool,
) -> AnyProgram:
    if placement.engine not in ("systolic", "crossbar"):
        raise CelosiaError(f"engine must be systolic or crossbar, not {placement.engine!r}")
    chosen = chosen_layers(graph, placement.engine, placement.places)
    inputs = [graph.tensors[index] for index in graph.inputs]
    calibration = batches(random_samples(inputs, _CALIBRATION, _SEED), batch)
    crossbar: dict[str, Any] = limits_for(load_device(device))
    if placement.mapping is not None:
        if npu.crossbar is not None:
            raise CelosiaError(
                f"--mapping must be left out: {npu.name} has a crossbar of its own, mapped "
                f"{npu.crossbar.mapping}"
            )
        crossbar |= {"mapping": placement.mapping}
    return compile_placed(
        graph, npu, profile, chosen, calibration, crossbar, batch=batch, overlap=overlap
    )


def _device(npu: NpuConfig, placement: Placement) -> str:
    """What the tiles are made of: what the configuration's emulator stands for, if it says so."""
    emulator = IDEAL if npu.crossbar is None else npu.crossbar.emulator
    if placement.device is not None and emulator != IDEAL:
        raise CelosiaError(
            f"--crossbar must be left out: {npu.name} has an emulator of its own, with cells of "
            f"{emulator.device}"
        )
    return placement.device or emulator.device


def open_model(model: str) -> tuple[Graph, bytes]:
    """The graph of a model, and the bytes of its file."""
    content = _read(model)
    return _load(model, content), content


def _load(model: str, content: bytes) -> Graph:
    """The model's graph, under the name that the user knows it by."""
    try:
        load = partial(load_onnx, folder=Path(model).parent) if is_onnx(model) else load_tflite
        graph = load(content)
    except CelosiaError as error:
        raise CelosiaError(f"model {model!r}: {error}") from error
    return replace(graph, name=Path(model).stem)


def _read(model: str) -> bytes:
    if model == EMBEDDED:
        return embedded_data("digits_int8.tflite")
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise CelosiaError(
            f"model must be a .tflite, .onnx or .cel file or {EMBEDDED!r}, "
            f"and {model!r} can't be read: {error.strerror}"
        ) from error


def _profile(name: str) -> RoundingProfile:
    if name not in list(RoundingProfile):
        raise CelosiaError(
            f"rounding profile must be one of {', '.join(RoundingProfile)}, not {name!r}"
        )
    return RoundingProfile(name)
