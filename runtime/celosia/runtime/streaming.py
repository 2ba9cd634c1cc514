"""Networks in pieces: the host moves tensors between its own memory and a device's."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from celosia.compiler.program import Arrays, HostStage
from celosia.compiler.streaming import Piece, StreamedProgram, gather
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph
from celosia.golden.interpreter import Interpreter
from celosia.runtime.device import Device, Inference, Measured
from celosia.runtime.inputs import Sample, batches, unbatched
from celosia.runtime.link.host_link import HostLink
from celosia.runtime.run import (
    LayerReport,
    Outcome,
    RunResult,
    layer_reports,
    open_device,
    result_of,
    utilisation_of,
)


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

    `waves` names an FST file that the one of `pieces` writes; a board is found behind `link`.

    Raises:
        CelosiaError: waves are wanted of more than one piece.
    """

    def __init__(
        self,
        program: StreamedProgram,
        device: str,
        pieces: range,
        waves: Path | None = None,
        link: HostLink | None = None,
    ) -> None:
        if waves is not None and len(pieces) > 1:
            raise CelosiaError(
                f"waves show one run: of the {len(program.pieces)} pieces of '{program.name}', "
                f"--pieces must name one"
            )
        self._program = program
        self._device = device
        self._pieces = pieces
        self._waves = waves
        self._link = link
        # Built before the first run, so that running doesn't wait for it.
        first = program.pieces[pieces[0]].program
        self.measured = Measured(build_s=self._open(device, first).measured.build_s)

    def run(self, samples: Sequence[Sample]) -> Outcome:
        """Run batches of samples through all steps, each step for all of them."""
        program = self._program
        values = [program.begin(batch) for batch in batches(samples, program.batch)]
        tally = _Tally(program)
        numbers = {id(piece): number for number, piece in enumerate(program.pieces)}

        def together(indexed: tuple[int, Piece | HostStage]) -> object:
            position, step = indexed
            if isinstance(step, HostStage):
                return position
            return (step.program, numbers[id(step)] in self._pieces)

        for key, group in groupby(enumerate(program.steps), together):
            steps = list(group)
            if isinstance(key, tuple):
                number, chosen = key
                device = self._open(self._device if chosen else "golden", number)
                pieces = [step for _, step in steps if isinstance(step, Piece)]
                for piece, inference in zip(
                    pieces, self._run_pieces(device, pieces, values), strict=True
                ):
                    tally.add(piece, inference, device.cycles_source)
                self._add(device.measured)
            for position, step in steps:
                for memory in values:
                    if isinstance(step, HostStage):
                        step.run(memory)
                    program.release(position, memory)
        outputs = [program.outputs(memory) for memory in values]
        return Outcome(
            outputs=unbatched(outputs, program.batch, len(samples)),
            layers=tally.layers(),
            cycles=tally.cycles(),
            cycles_source=tally.source(),
            measured=self.measured,
        )

    def _run_pieces(
        self, device: Device, pieces: Sequence[Piece], values: Sequence[Arrays]
    ) -> list[Inference]:
        """Pieces of one program for all samples; returns what those of the first left behind."""
        part = self._program.programs[pieces[0].program]
        prepared = [part.prepare(gather(piece, memory)) for memory in values for piece in pieces]
        inferences = device.run([writes for _, writes in prepared])
        runs = iter(zip(prepared, inferences, strict=True))
        for memory in values:
            for piece in pieces:
                (made, _), inference = next(runs)
                self._program.scatter(piece, memory, part.finish(made, inference.reads))
        return inferences[: len(pieces)]

    def _open(self, device: str, number: int) -> Device:
        waves = self._waves if device == self._device else None
        program = self._program.programs[number]
        return open_device(device, program, waves=waves, link=self._link)

    def _add(self, measured: Measured) -> None:
        # Later devices find the simulation built.
        self.measured = Measured(
            self.measured.build_s,
            self.measured.wall_s + measured.wall_s,
            self.measured.simulated_cycles + measured.simulated_cycles,
        )


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
) -> RunResult:
    """Run samples of a network in pieces, and hold every output byte to the golden operators.

    Where the network isn't at hand, the golden machine is the judge.
    """
    expected: list[list[NDArray[Any]]]
    if graph is None:
        expected = (
            StreamedDevice(program, "golden", range(len(program.pieces))).run(samples).outputs
        )
    else:
        golden = Interpreter(graph, program.profile)
        expected = [golden.run(sample) for sample in samples]
    return result_of(program, device_name, device.run(samples), expected)
