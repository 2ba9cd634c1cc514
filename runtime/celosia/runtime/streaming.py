"""Networks in pieces: the host moves tensors between its own memory and a device's."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from celosia.compiler.program import Arrays, HostStage
from celosia.compiler.streaming import Piece, StreamedProgram, gather
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph
from celosia.golden.interpreter import Interpreter
from celosia.runtime.board_device import BoardDevice, play
from celosia.runtime.crossbar.tiles import ProgrammedTiles
from celosia.runtime.device import Inference, Measured, TilesRun
from celosia.runtime.inputs import Sample, batches, unbatched
from celosia.runtime.link.host_link import HostLink
from celosia.runtime.piece_players import GoldenPieces, HardwarePieces, PiecePlayer
from celosia.runtime.run import (
    LayerReport,
    Outcome,
    RunResult,
    beside_exact,
    layer_reports,
    result_of,
    utilisation_of,
    with_crossbar,
)

if TYPE_CHECKING:
    from celosia.sim.npu_simulation import NpuSimulation as Simulated


def pieces_of(program: StreamedProgram, text: str | None) -> range:
    """The pieces that `A:B` (A up to B, excluded) or `A` names; all where nothing is given.

    Raises:
        CelosiaError: there are no such pieces.
    """
    count = len(program.pieces)
    if text is None:
        return range(count)
    numbers = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", text)
    if numbers is not None:
        first = int(numbers[1])
        end = first + 1 if numbers[2] is None else int(numbers[2])
        if first < end <= count:
            return range(first, end)
    raise CelosiaError(
        f"pieces must be given as A:B with 0 <= A < B <= {count}, or as one number below "
        f"{count}, not {text!r}"
    )


class StreamedDevice:
    """Runs a network: its `pieces` on a device, the others on the golden machine.

    `waves` names an FST file that the one of `pieces` writes; a board is found behind `link`. The
    device's crossbar is given the network's `tiles` before its first piece, and the golden machine
    has another set of them.

    Attributes:
        pieces: those on the device.
        measured: what building and all runs so far took.
        tiles: what became of the device's tiles in the last run, where the network has some.

    Raises:
        CelosiaError: waves are wanted of more than one piece, or the board isn't what the network
            was compiled for.
    """

    def __init__(
        self,
        program: StreamedProgram,
        device: str,
        pieces: range,
        waves: Path | None = None,
        link: HostLink | None = None,
        programmed: ProgrammedTiles | None = None,
    ) -> None:
        if waves is not None and len(pieces) > 1:
            raise CelosiaError(
                f"waves show one run: of the {len(program.pieces)} pieces of '{program.name}', "
                f"--pieces must name one"
            )
        self._program = program
        self.pieces = pieces
        self._programmed = programmed
        self._waves = waves
        self._link = link
        self._simulation: Simulated | None = None
        self.measured = Measured()
        self.tiles: TilesRun | None = None
        if device == "rtl":
            from celosia.sim.npu_simulation import NpuSimulation  # imports Amaranth and cocotb

            # Built before the first run, so that running doesn't wait for it.
            self._simulation = NpuSimulation(program.config, trace_fst=waves is not None)
            self.measured = Measured(build_s=self._simulation.build_s)
        elif device == "board":
            assert link is not None
            self.measured = BoardDevice(program.programs[0], link, programmed).measured

    def run(self, samples: Sequence[Sample]) -> Outcome:
        """Run batches of samples through all steps, each step for all of them.

        Raises:
            Hung: a piece did not end.
            LinkError: the board doesn't answer any more.
        """
        with self._device() as device:
            return self._run(samples, device, GoldenPieces(self._programmed))

    @contextlib.contextmanager
    def _device(self) -> Iterator[PiecePlayer]:
        config, tiles = self._program.config, self._programmed
        if self._simulation is not None:
            from celosia.sim.live_npu import live_npu

            with live_npu(self._simulation, waves=self._waves) as npu:
                yield HardwarePieces(config, npu.play, "rtl", tiles)
        elif self._link is not None:
            yield HardwarePieces(config, partial(play, link=self._link), "board", tiles)
        else:
            yield GoldenPieces(tiles)

    def _run(self, samples: Sequence[Sample], device: PiecePlayer, golden: PiecePlayer) -> Outcome:
        program = self._program
        values = [program.begin(batch) for batch in batches(samples, program.batch)]
        tally = _Tally(program)
        numbers = {id(piece): number for number, piece in enumerate(program.pieces)}

        def together(indexed: tuple[int, Piece | HostStage]) -> object:
            position, step = indexed
            if isinstance(step, HostStage):
                return position
            return (step.program, numbers[id(step)] in self.pieces)

        for key, group in groupby(enumerate(program.steps), together):
            steps = list(group)
            if isinstance(key, tuple):
                number, chosen = key
                player = device if chosen else golden
                pieces = [step for _, step in steps if isinstance(step, Piece)]
                for piece, inference in zip(
                    pieces, self._run_pieces(player, number, pieces, values), strict=True
                ):
                    tally.add(piece, inference, player.cycles_source)
            for position, step in steps:
                for memory in values:
                    if isinstance(step, HostStage):
                        step.run(memory)
                    program.release(position, memory)
        self.tiles = device.finish()
        self.measured = replace(
            self.measured,
            wall_s=self.measured.wall_s + device.wall_s + golden.wall_s,
            simulated_cycles=self.measured.simulated_cycles + device.simulated_cycles,
        )
        outputs = [program.outputs(memory) for memory in values]
        return Outcome(
            outputs=unbatched(outputs, program.batch, len(samples)),
            layers=tally.layers(),
            cycles=tally.cycles(),
            cycles_source=tally.source(),
            measured=self.measured,
        )

    def _run_pieces(
        self, player: PiecePlayer, number: int, pieces: Sequence[Piece], values: Sequence[Arrays]
    ) -> list[Inference]:
        """Pieces of one program for all samples; returns what those of the first left behind."""
        part = self._program.programs[number]
        prepared = [part.prepare(gather(piece, memory)) for memory in values for piece in pieces]
        inferences = player.run(part, [writes for _, writes in prepared])
        runs = iter(zip(prepared, inferences, strict=True))
        for memory in values:
            for piece in pieces:
                (made, _), inference = next(runs)
                self._program.scatter(piece, memory, part.finish(made, inference.reads))
        return inferences[: len(pieces)]


class _Tally:
    """Adds the layers of pieces up to the network's."""

    def __init__(self, program: StreamedProgram) -> None:
        self._program = program
        self._layers = [
            LayerReport(layer.name, layer.op, layer.engine, layer.macs) for layer in program.layers
        ]
        self._uncounted: set[int] = set()
        self._sources: set[str] = set()

    def add(self, piece: Piece, inference: Inference, source: str) -> None:
        """Count what a piece took."""
        self._sources.add(source)
        program = self._program
        reports = layer_reports(program.programs[piece.program], inference)
        for number, report in zip(program.layer_numbers[piece.program], reports, strict=True):
            known = self._layers[number]
            if report.cycles is None:
                self._uncounted.add(number)
                continue
            waits = report.waits or {}
            self._layers[number] = replace(
                known,
                cycles=(known.cycles or 0) + report.cycles,
                waits={key: (known.waits or {}).get(key, 0) + waits[key] for key in waits},
            )

    def layers(self) -> list[LayerReport]:
        """The network's layers; without cycles where not every piece of a layer was counted."""
        config = self._program.config
        return [
            replace(layer, cycles=None, waits=None)
            if number in self._uncounted
            else replace(layer, utilisation=utilisation_of(config, layer.macs, layer.cycles))
            for number, layer in enumerate(self._layers)
        ]

    def cycles(self) -> int | None:
        """Of all pieces; None where some weren't counted."""
        return None if self._uncounted else sum(layer.cycles or 0 for layer in self._layers)

    def source(self) -> str:
        """What the cycles come from: `model`, `rtl`, `board`, or `mixed`."""
        return self._sources.pop() if len(self._sources) == 1 else "mixed"


def run_streamed(
    graph: Graph | None,
    program: StreamedProgram,
    device: StreamedDevice,
    device_name: str,
    samples: Sequence[Sample],
    tiles: ProgrammedTiles | None = None,
) -> RunResult:
    """Run samples of a network in pieces, and hold every output byte to the golden operators.

    Where the network isn't at hand, or there are crossbar `tiles`, the golden machine is the judge:
    on two sets of tiles where the device runs only some pieces, as there.
    """
    exact: list[list[NDArray[Any]]] | None = None
    if graph is not None:
        golden = Interpreter(graph, program.profile)
        exact = [golden.run(sample) for sample in samples]
    if exact is not None and tiles is None:
        return result_of(program, device_name, device.run(samples), exact)
    judge = StreamedDevice(program, "golden", device.pieces, programmed=tiles)
    expected = judge.run(samples).outputs
    result = result_of(program, device_name, device.run(samples), expected)
    if tiles is None or device.tiles is None:
        return result
    result = with_crossbar(result, tiles, device.tiles, judge.tiles)
    return result if exact is None else beside_exact(result, exact)
