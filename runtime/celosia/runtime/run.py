"""One run of a network on a device, compared with the golden model and accounted for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Program
from celosia.compiler.streaming import StreamedProgram
from celosia.golden.config import NpuConfig
from celosia.golden.graph import Graph
from celosia.golden.interpreter import Interpreter
from celosia.golden.memory_map import Counter
from celosia.golden.timing import Profile
from celosia.runtime.board_device import BoardDevice
from celosia.runtime.crossbar.tiles import ProgrammedTiles
from celosia.runtime.device import Device, Inference, Measured, TilesRun
from celosia.runtime.golden_device import GoldenDevice
from celosia.runtime.inputs import Sample, batches, unbatched
from celosia.runtime.link.host_link import HostLink
from celosia.runtime.traffic import HostBytes, host_bytes

DEVICES = ("golden", "rtl", "board")


@dataclass(frozen=True)
class LayerReport:
    """One layer's share of a run, which makes `RunReport.batch` inferences.

    `cycles`, `utilisation` and `waits` are None where the device kept no counters of the layer.
    `waits` says what the array did in these cycles, by the names of `memory_map.Counter`.
    """

    name: str
    op: str
    engine: str
    macs: int
    cycles: int | None = None
    utilisation: float | None = None
    waits: dict[str, int] | None = None


@dataclass(frozen=True)
class CrossbarReport:
    """What a run's crossbar tiles are, and what they did to the outputs.

    `converged` is the share of cells that reached their level, with `pulses` in all; `results` has
    their number by how they ended. `programming` says how hardware got them: by `commands`, in
    `programming_cycles`, or `direct`; `differing_words` of what it answered meanwhile, and
    of its counters, aren't the golden controller's. `calibrated` columns have corrections of their
    own, `uncalibrated` ones couldn't. `products` of all samples took `reissues` of input bits, and
    `saturations` are columns that were still saturated. `differing_bytes` of `output_bytes` aren't
    those of the exact int8 network, where it is known; in the share `agreement` of the samples the
    largest output is the same one.
    """

    device: str
    front_end: str
    programming: str
    tiles: int
    cells: int
    converged: float
    pulses: int
    results: dict[str, int]
    programming_cycles: int | None
    differing_words: int
    calibrated: int
    uncalibrated: int
    products: int
    reissues: int
    saturations: int
    differing_bytes: int | None = None
    output_bytes: int | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class RunReport:
    """What `celosia run` reports; its fields are the keys of the JSON object.

    `mismatches` counts output bytes that differ from the golden model's; `outputs_match` also says
    that crossbar tiles were programmed as the golden controller does it. A run of the program makes
    `batch` inferences and takes `cycles`, from the start command to the last result in memory;
    `cycles_per_inference` is their quotient, rounded up, and `macs` counts one inference;
    `cycles_source` says whether they were counted (`rtl`, `board`) or computed (`model`).
    `cycles_per_inference_serial` counts the host's transfers too, one thing after another;
    `cycles_per_inference_overlapping` goes from one start to the next where they overlap with
    computation (`transfers` is "overlapping", else "serial").
    `utilisation` is the share of the array's multiply-accumulates that the network needed. `wall_s`
    and `sim_cycles_per_s` leave building out.

    A network that is larger than the NPU's memories takes several `pieces`, each with a start
    command: cycles are the sum of theirs, and `cycles_source` is `mixed` where only some were
    counted. `host_bytes` cross the host's bus for one run, programs included. With layers on the
    `crossbar` the golden model is the golden machine on the same tiles.
    """

    model: str
    config: str
    device: str
    rounding: str
    outputs_match: bool
    mismatches: int
    samples: int
    batch: int
    cycles: int | None
    cycles_per_inference: int | None
    cycles_source: str | None
    transfers: str
    cycles_per_inference_serial: int | None
    cycles_per_inference_overlapping: int | None
    macs: int
    utilisation: float | None
    layers: list[LayerReport]
    wall_s: float
    build_s: float
    sim_cycles_per_s: float | None
    pieces: int
    host_bytes: HostBytes
    crossbar: CrossbarReport | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class RunResult:
    """A report and the outputs it is about, [samples, ...] for each output of the network."""

    report: RunReport
    outputs: list[NDArray[Any]]


def open_device(
    name: str,
    program: Program,
    *,
    waves: Path | None = None,
    link: HostLink | None = None,
    tiles: ProgrammedTiles | None = None,
) -> Device:
    """The device of that name (one of `DEVICES`), with the program loaded; a board behind `link`.

    `tiles` are the program's crossbar tiles, where it has some.

    Raises:
        CelosiaError: the board isn't what the program was compiled for.
    """
    if name == "rtl":
        from celosia.runtime.rtl_device import RtlDevice  # imports Amaranth and cocotb

        return RtlDevice(program, waves=waves, tiles=tiles)
    if name == "board":
        assert link is not None
        return BoardDevice(program, link, tiles)
    return GoldenDevice(program, None if tiles is None else tiles.engine())


def run_graph(
    graph: Graph,
    program: Program,
    device: Device,
    device_name: str,
    samples: Sequence[Sample],
    tiles: ProgrammedTiles | None = None,
) -> RunResult:
    """Run samples of a network and hold every output byte to the golden operators.

    With crossbar tiles the golden machine, on the same tiles, is the judge; how far its outputs are
    from the operators' is reported beside that.
    """
    golden = Interpreter(graph, program.profile)
    exact = [golden.run(sample) for sample in samples]
    if tiles is None:
        return _run(program, device, device_name, samples, exact)
    result = run_program(program, device, device_name, samples, tiles)
    return beside_exact(result, exact)


def _crossbar_report(tiles: ProgrammedTiles, run: TilesRun) -> CrossbarReport:
    """What the tiles are, and what became of them in a run."""
    cells, columns = tiles.cells, tiles.columns
    good = columns.results.get("converged", 0)
    return CrossbarReport(
        device=tiles.device,
        front_end=tiles.options.front_end,
        programming=tiles.options.programming,
        tiles=len(tiles.program.crossbar),
        cells=cells.count,
        converged=round(cells.converged, 6),
        pulses=cells.pulses,
        results=cells.results,
        programming_cycles=run.programming_cycles,
        differing_words=run.differing_words,
        calibrated=good,
        uncalibrated=columns.count - good,
        **asdict(run.products),
    )


def beside_exact(result: RunResult, exact: list[list[NDArray[Any]]]) -> RunResult:
    """With what crossbar tiles did to the outputs of the exact network [samples][outputs]."""
    outputs, crossbar = result.outputs, result.report.crossbar
    assert crossbar is not None
    wanted = [
        np.concatenate([np.atleast_1d(v) for v in values]) for values in zip(*exact, strict=True)
    ]
    differing = sum(_differing_bytes(a, b) for a, b in zip(outputs, wanted, strict=True))
    first, exactly = (
        values[0].reshape(len(values[0]), -1).argmax(axis=1) for values in (outputs, wanted)
    )
    compared = replace(
        crossbar,
        differing_bytes=differing,
        output_bytes=sum(values.nbytes for values in wanted),
        agreement=round(float((first == exactly).mean()), 6),
    )
    return replace(result, report=replace(result.report, crossbar=compared))


def run_program(
    program: Program,
    device: Device,
    device_name: str,
    samples: Sequence[Sample],
    tiles: ProgrammedTiles | None = None,
) -> RunResult:
    """Run samples of a program whose network isn't at hand; the golden machine is the judge."""
    judge = GoldenDevice(program, None if tiles is None else tiles.engine())
    _, expected = _infer(program, judge, samples)
    result = _run(program, device, device_name, samples, expected)
    if tiles is None or device.tiles is None:
        return result
    # Where transfers overlap hardware repeats some runs, for their times.
    judged = None if program.overlapping else judge.tiles
    return with_crossbar(result, tiles, device.tiles, judged)


def with_crossbar(
    result: RunResult, tiles: ProgrammedTiles, run: TilesRun, judged: TilesRun | None
) -> RunResult:
    """With what became of crossbar tiles, held to what became of the golden machine's."""
    crossbar = _crossbar_report(tiles, run)
    if judged is not None:
        got, want = (vars(each.products).values() for each in (run, judged))
        wrong = sum(a != b for a, b in zip(got, want, strict=True)) + crossbar.differing_words
        crossbar = replace(crossbar, differing_words=wrong)
    match = result.report.outputs_match and not crossbar.differing_words
    return replace(result, report=replace(result.report, crossbar=crossbar, outputs_match=match))


def _run(
    program: Program,
    device: Device,
    device_name: str,
    samples: Sequence[Sample],
    expected: list[list[NDArray[Any]]],
) -> RunResult:
    inferences, outputs = _infer(program, device, samples)
    counters = inferences[0].counters
    outcome = Outcome(
        outputs=outputs,
        layers=layer_reports(program, inferences[0]),
        cycles=None if counters is None else counters[Counter.CYCLES],
        cycles_source=device.cycles_source,
        measured=device.measured,
    )
    return result_of(program, device_name, outcome, expected)


@dataclass(frozen=True)
class Outcome:
    """What a device gave: outputs of each sample; layers and cycles of one run."""

    outputs: list[list[NDArray[Any]]]
    layers: list[LayerReport]
    cycles: int | None
    cycles_source: str
    measured: Measured


def result_of(
    program: Program | StreamedProgram,
    device_name: str,
    outcome: Outcome,
    expected: list[list[NDArray[Any]]],
) -> RunResult:
    """Hold the outputs of every sample to what is expected of it, and report."""
    mismatches = sum(
        _differing_bytes(got, want)
        for gots, wants in zip(outcome.outputs, expected, strict=True)
        for got, want in zip(gots, wants, strict=True)
    )
    batch, cycles = program.batch, outcome.cycles
    measured = outcome.measured
    report = RunReport(
        model=program.name,
        config=program.config.name,
        device=device_name,
        rounding=str(program.profile),
        outputs_match=mismatches == 0,
        mismatches=mismatches,
        samples=len(outcome.outputs),
        batch=batch,
        cycles=cycles,
        cycles_per_inference=_each(cycles, batch),
        cycles_source=None if cycles is None else outcome.cycles_source,
        transfers="overlapping" if program.overlapping else "serial",
        cycles_per_inference_serial=_each(measured.serial_cycles, batch),
        cycles_per_inference_overlapping=_each(measured.overlapping_cycles, batch),
        macs=program.macs,
        utilisation=utilisation_of(program.config, batch * program.macs, cycles),
        layers=outcome.layers,
        wall_s=round(measured.wall_s, 6),
        build_s=round(measured.build_s, 6),
        sim_cycles_per_s=(
            round(measured.simulated_cycles / measured.wall_s)
            if measured.simulated_cycles
            else None
        ),
        pieces=len(program.pieces) if isinstance(program, StreamedProgram) else 1,
        host_bytes=host_bytes(program),
    )
    stacked = [
        np.concatenate([np.atleast_1d(value) for value in values])
        for values in zip(*outcome.outputs, strict=True)
    ]
    return RunResult(report, stacked)


def _infer(
    program: Program, device: Device, samples: Sequence[Sample]
) -> tuple[list[Inference], list[list[NDArray[Any]]]]:
    """Batches of samples through the host's operators, the device, and the host's operators again.

    Returns what each run left behind, and the outputs of each sample.
    """
    prepared = [program.prepare(batch) for batch in batches(samples, program.batch)]
    inferences = device.run([writes for _, writes in prepared])
    outputs = [
        program.finish(values, inference.reads)
        for (values, _), inference in zip(prepared, inferences, strict=True)
    ]
    return inferences, unbatched(outputs, program.batch, len(samples))


def layer_reports(program: Program, inference: Inference) -> list[LayerReport]:
    """Layers with what they spent, as far as the device kept it."""
    spent: Iterator[Mapping[Counter, int]] = iter(())
    if inference.counters is not None:
        spent = Profile(inference.counters, inference.marks).layers(len(program.layers))
    reports = []
    for layer, counters in zip_longest(program.layers, spent):
        report = LayerReport(layer.name, layer.op, layer.engine, layer.macs)
        if counters is not None:
            cycles = counters[Counter.CYCLES]
            report = replace(
                report,
                cycles=cycles,
                utilisation=utilisation_of(program.config, layer.macs, cycles),
                waits={
                    c.name.lower(): n for c, n in counters.items() if c.name.startswith("MATRIX_")
                },
            )
        reports.append(report)
    return reports


def utilisation_of(config: NpuConfig, macs: int, cycles: int | None) -> float | None:
    """The share of the array's multiply-accumulates in these cycles; None where not counted."""
    return round(macs / (cycles * config.macs), 4) if cycles else None


def _each(cycles: int | None, batch: int) -> int | None:
    return None if cycles is None else -(-cycles // batch)


def _differing_bytes(got: NDArray[Any], want: NDArray[Any]) -> int:
    if got.shape != want.shape or got.dtype != want.dtype:
        return want.nbytes
    return int(
        (
            np.ascontiguousarray(got).view(np.uint8) != np.ascontiguousarray(want).view(np.uint8)
        ).sum()
    )
