"""`celosia crossbar characterise`: accuracy against what crossbars suffer from."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.crossbar_options import DeviceFile, chosen_device
from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results

if TYPE_CHECKING:
    from celosia.runtime.crossbar.characterise import SweepResult
    from celosia.runtime.crossbar.subjects import Subject

MAXIMUM_SEEDS = 1000
MAXIMUM_WORKERS = 256


def characterise(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A .tflite or .onnx model, or `digits`, the embedded one."
        ),
    ] = "digits",
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="NAME",
            help="programming-error, read-noise, levels, adc-bits, line-resistance, stuck-at, time "
            "or devices (may be repeated).  [default: all but devices]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Draws of everything that is drawn.")
    ] = 3,
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="Samples, at most.")] = 8,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Device that the sweeps change.  [default: ideal; pcm in the sweep of time]",
            show_default=False,
        ),
    ] = None,
    device: DeviceFile = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            metavar="NAME",
            help="Only this layer is on the crossbar (may be repeated).  [default: all that can]",
            show_default=False,
        ),
    ] = None,
    noise_aware: Annotated[
        str | None,
        typer.Option(
            "--noise-aware",
            metavar="MODEL",
            help="The network trained noise-aware.  [default: the embedded one, for digits]",
            show_default=False,
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="X.npy",
            help="Samples.  [default: held-out digits, or random ones]",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="Y.npy",
            help="Class of each sample.  [default: what the exact network says]",
            show_default=False,
        ),
    ] = None,
    config: Config = "npu8x8",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Threads.  [default: one for each processor]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Write a .csv, .json and .png for each sweep."
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Measure a network's accuracy on crossbar tiles over sweeps, and what remedies win back.

    Each sweep changes one thing of a device: programming error, read noise, levels of a cell, bits
    of the converters, resistance of the lines, stuck cells, or time. Remedies are columns and
    ranges that are calibrated, scales that follow drift, spare columns, weights that are remapped
    around stuck cells, and a network that was trained noise-aware. Points are means over the seeds.

    With its defaults it shows trends, in less than two minutes of one processor: a sample of eight
    is 12 %. Figures to quote take --samples 200 --seeds 10, and so much longer.
    """
    from celosia.golden.config import load_config
    from celosia.runtime.crossbar.characterise import Characterisation
    from celosia.runtime.crossbar.subjects import Subject, noise_aware_graph, samples_for
    from celosia.runtime.crossbar.sweeps import DEFAULT_SWEEPS, NOISE_AWARE, PLAIN, Sweep
    from celosia.runtime.picture import require_matplotlib
    from celosia.runtime.session import open_model

    for name in sweep or ():
        if name not in list(Sweep):
            raise CelosiaError(f"sweep must be one of {', '.join(Sweep)}, not {name!r}")
    _check_count("seeds", seeds, MAXIMUM_SEEDS)
    _check_count("workers", 1 if workers is None else workers, MAXIMUM_WORKERS)
    chosen = None
    if preset is not None or device is not None:
        chosen = chosen_device(preset, device, "ideal")
    if output is not None:
        require_matplotlib()
        _make(output)
    graph, _ = open_model(model)
    npu = load_config(config)
    taken = samples_for(model, graph, samples, inputs, labels)
    subjects = {PLAIN: Subject(graph, taken, layer or (), npu)}
    aware = noise_aware_graph(model, noise_aware)
    if aware is not None:
        subjects[NOISE_AWARE] = Subject(aware, taken, layer or (), npu)
    judged = "labels" if taken.labels is not None else "int8"
    report: dict[str, Any] = {
        "model": graph.name,
        "samples": len(taken),
        "seeds": seeds,
        "judged_by": judged,
        "layers": subjects[PLAIN].layers,
        "tiles": subjects[PLAIN].tiles,
        "int8": {name: subject.int8 for name, subject in subjects.items()},
        "sweeps": [],
    }
    if not as_json:
        _print_head(report)
    wanted = [Sweep(name) for name in dict.fromkeys(sweep)] if sweep else list(DEFAULT_SWEEPS)
    networks = {name: subject.network for name, subject in subjects.items()}
    with (
        Characterisation(networks, range(1, seeds + 1), workers) as characterisation,
        _progress() as progress,
    ):
        for which in wanted:
            count = characterisation.evaluations(which, chosen)
            task = progress.add_task(str(which), total=count)
            result = characterisation.run(which, chosen, partial(progress.advance, task))
            progress.remove_task(task)
            if output is not None:
                _write(output, result, report, subjects)
            if not as_json:
                _print(result)
            report["sweeps"].append(result.to_json())
    if as_json:
        print_json(report)


def _check_count(name: str, value: int, highest: int) -> None:
    if not 1 <= value <= highest:
        raise CelosiaError(f"{name} must be from 1 to {highest}, not {value}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CelosiaError(f"can't make the folder {str(folder)!r}: {error.strerror}") from error


def _progress() -> Progress:
    """A bar for evaluations; it shows on terminals only, and leaves nothing behind."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def _write(
    folder: Path, result: "SweepResult", report: dict[str, Any], subjects: "dict[str, Subject]"
) -> None:
    from celosia.golden.files import write_atomically
    from celosia.runtime.crossbar.sweep_picture import draw_sweep

    measure = "accuracy" if report["judged_by"] == "labels" else "agreement with int8"
    title = (
        f"{report['model']} on {result.device}: {report['samples']} samples, "
        f"{report['seeds']} seed{'s' if report['seeds'] > 1 else ''}"
    )
    picture = draw_sweep(result, report["int8"], title, measure)
    alone = {key: value for key, value in report.items() if key != "sweeps"} | result.to_json()
    for suffix, content in (
        ("csv", result.to_csv().encode()),
        ("json", (json.dumps(alone, indent=2) + "\n").encode()),
        ("png", picture),
    ):
        write_atomically(folder / f"{result.sweep}.{suffix}", content)


def _print_head(report: dict[str, Any]) -> None:
    exact = ", ".join(f"{name} {value:.1%}" for name, value in report["int8"].items())
    judged = "of their labels" if report["judged_by"] == "labels" else "as the exact network has it"
    results.print(
        f"{report['model']}: {report['layers']} layers on {report['tiles']} tiles, "
        f"{report['samples']} samples, {report['seeds']} seeds; right is the class {judged}; "
        f"int8: {exact}",
        markup=False,
        soft_wrap=True,
    )


def _print(result: "SweepResult") -> None:
    plan = result.plan
    table = Table(box=None, pad_edge=False)
    table.add_column(str(result.sweep))
    for value in plan.values:
        name = plan.names[int(value)] if plan.names else f"{value:g}"
        table.add_column(name, justify="right", no_wrap=True)
    for curve in result.curves:
        cells = [
            f"{100 * point.mean:.1f}" + (f"±{100 * point.std:.1f}" if point.std else "")
            for point in curve.points
        ]
        table.add_row(curve.line.name, *cells)
    results.print()
    results.print(f"{plan.axis} ({result.device}); right, %", markup=False, soft_wrap=True)
    results.print(table)
