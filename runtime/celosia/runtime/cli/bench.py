"""`celosia bench`: cycles beside the references and by batch, simulation speed, golden speed."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from celosia.golden.errors import CelosiaError, DoesNotFit, LeftOut
from celosia.runtime.cli.options import Json, Rounding, Verbose
from celosia.runtime.cli.output import errors, in_pieces, name_width, print_json, results

_LARGEST_BATCH = 64
_CYCLES_COLUMNS = 63  # what the columns beside a model's name take


class Part(StrEnum):
    """What to measure."""

    CYCLES = "cycles"
    SIMULATION = "simulation"
    GOLDEN = "golden"
    BATCH = "batch"


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL...", help="Models; `digits` is the embedded one."),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            metavar="NAME|FILE.toml",
            help="Configurations (may be repeated).  [default: npu8x8, npu16x16]",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[Part] | None,
        typer.Option("--only", help="Measure only this (may be repeated).", show_default=False),
    ] = None,
    rounding: Rounding = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Measure cycles, simulation speed and the golden model's speed.

    Cycles of one inference in RTL stand beside SCALE-Sim's closed forms for output- and
    weight-stationary arrays of the same size, and beside Arm's estimate for the Ethos-U55 of the
    nearest size (package ethos-u-vela: pip install "celosia[vela]"). Simulation speed is that of
    the first model on the first configuration, beside cocotb's default build and a bare C++ loop.
    The golden model is timed beside tflite-micro, whose rounding it then has. Batches of 1, 2, 4
    ... inferences are measured as far as they fit, with the host's transfers before and after each
    run, and where memory allows it beside computation.
    """
    parts = only or list(Part)
    models = models or ["digits"]
    configs = config or ["npu8x8", "npu16x16"]
    measured: dict[str, list[dict[str, Any]]] = {}
    with errors.status("measuring") as status:
        if Part.CYCLES in parts:
            measured["cycles"] = []
            for model in models:
                for name in configs:
                    status.update(f"cycles of {model} on {name}")
                    measured["cycles"].append(_cycles(model, name, rounding))
        if Part.BATCH in parts:
            measured["batch"] = []
            for model in models:
                for name in configs:
                    status.update(f"batches of {model} on {name}")
                    measured["batch"] += _batches(model, name, rounding)
        if Part.GOLDEN in parts:
            measured["golden"] = []
            for model in models:
                status.update(f"golden model on {model}")
                measured["golden"].append(_golden(model))
        if Part.SIMULATION in parts:
            status.update(f"simulation speed of {configs[0]} (builds it three times; minutes)")
            measured["simulation"] = _simulation(models[0], configs[0], rounding)
    if as_json:
        print_json(measured)
    else:
        _print(measured)
    compared = (row for part in (Part.CYCLES, Part.BATCH) for row in measured.get(part, ()))
    if any(row["outputs_match"] is False for row in compared):
        raise typer.Exit(1)


def _cycles(model: str, config: str, rounding: str | None) -> dict[str, Any]:
    """One model on one configuration; what is None has its reason under `notes`."""
    from celosia.compiler.streaming import StreamedProgram
    from celosia.golden.config import load_config
    from celosia.runtime.bench import compare_model
    from celosia.runtime.references import ethos_u55_macs, scale_sim_cycles, vela_cycles
    from celosia.runtime.session import open_model, open_session

    graph, content = open_model(model)
    npu = load_config(config)
    forms = scale_sim_cycles(graph, npu)
    row: dict[str, Any] = {
        "model": graph.name,
        "config": npu.name,
        "array_macs": npu.macs,
        "cycles": None,
        "pieces": None,
        "utilisation": None,
        "outputs_match": None,
        "modelled_cycles": None,
        "modelled_worst_layer": None,
        "scale_sim_os": forms.output_stationary,
        "scale_sim_ws": forms.weight_stationary,
        "ethos_u55_macs": ethos_u55_macs(npu),
        "ethos_u55": None,
    }
    notes = []
    try:
        session = open_session(model, config, rounding)
    except (DoesNotFit, LeftOut) as error:
        notes.append(str(error))
    else:
        session.open("rtl")
        report = session.run(session.samples(None)).report
        row["cycles"] = report.cycles_per_inference
        row["pieces"] = report.pieces
        row["utilisation"] = report.utilisation
        row["outputs_match"] = report.outputs_match
        if isinstance(session.program, StreamedProgram):
            notes.append(in_pieces(report.pieces, asdict(report.host_bytes)))
        else:
            agreement = compare_model(session.program, report)
            row["modelled_cycles"] = agreement.cycles
            row["modelled_worst_layer"] = agreement.worst_layer
    try:
        row["ethos_u55"] = vela_cycles(content, row["ethos_u55_macs"])
    except CelosiaError as error:
        notes.append(str(error))
    return {**row, "notes": notes}


def _batches(model: str, config: str, rounding: str | None) -> list[dict[str, Any]]:
    """Cycles of an inference in batches of powers of two, none where even one doesn't fit."""
    from celosia.runtime.bench import batched_report
    from celosia.runtime.session import open_session

    rows = []
    for batch in (1 << exponent for exponent in range(_LARGEST_BATCH.bit_length())):
        try:
            session = open_session(model, config, rounding, batch=batch, overlap=True)
        except DoesNotFit:
            break
        report = batched_report(session)
        rows.append(
            {
                "model": report.model,
                "config": report.config,
                "batch": batch,
                "cycles": report.cycles_per_inference,
                "cycles_serial": report.cycles_per_inference_serial,
                "cycles_overlapping": report.cycles_per_inference_overlapping,
                "outputs_match": report.outputs_match,
            }
        )
    return rows


def _golden(model: str) -> dict[str, Any]:
    from celosia.runtime.bench import golden_speed
    from celosia.runtime.session import open_model

    graph, content = open_model(model)
    return {"model": graph.name, **asdict(golden_speed(graph, content))}


def _simulation(model: str, config: str, rounding: str | None) -> list[dict[str, Any]]:
    from celosia.compiler.streaming import StreamedProgram
    from celosia.runtime.bench import simulation_speeds
    from celosia.runtime.session import open_session

    program = open_session(model, config, rounding).program
    if isinstance(program, StreamedProgram):
        raise CelosiaError(
            f"model must fit in one piece to time its simulation, and {model!r} takes "
            f"{len(program.pieces)}"
        )
    rows = [asdict(speed) for speed in simulation_speeds(program, 3)]
    bare = rows[-1]["cycles_per_s"]
    return [{**row, "ratio_to_bare_loop": row["cycles_per_s"] / bare} for row in rows]


def _print(measured: dict[str, list[dict[str, Any]]]) -> None:
    for part, rows in measured.items():
        if part == Part.CYCLES:
            _print_cycles(rows)
        elif rows:
            results.print(_table(part, rows))
        results.print()


def _print_cycles(rows: list[dict[str, Any]]) -> None:
    """The table of cycles, and the reasons for what it leaves open."""
    table = Table(box=None, pad_edge=False)
    table.add_column("\nmodel", no_wrap=True, max_width=name_width(_CYCLES_COLUMNS))
    table.add_column("\nconfig", no_wrap=True)
    for title in ("\ncycles", "\nused", "SCALE-Sim\nOS", "SCALE-Sim\nWS", "Ethos-U55\n(MACs)"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        used, arm = row["utilisation"], row["ethos_u55"]
        table.add_row(
            escape(row["model"]),
            escape(row["config"]),
            _shown("cycles", row["cycles"]),
            "-" if used is None else f"{used:.0%}",
            f"{row['scale_sim_os']:,}",
            f"{row['scale_sim_ws']:,}",
            "-" if arm is None else f"{arm:,} ({row['ethos_u55_macs']})",
        )
    results.print("[italic]Cycles of one inference: in RTL, and what others give[/]")
    results.print(table)
    about: dict[str, list[str]] = {}
    for row in rows:
        if row["outputs_match"] is False:
            about.setdefault("bytes differ from the golden model's", []).append(_where(row))
        for note in row["notes"]:
            about.setdefault(note, []).append(_where(row))
    for note, where in about.items():
        subject = where[0] if len(where) == 1 else f"{len(where)} of {len(rows)} rows"
        results.print(escape(f"{subject}: {note}"))


def _where(row: dict[str, Any]) -> str:
    return f"{row['model']} on {row['config']}"


def _table(part: str, rows: list[dict[str, Any]]) -> Table:
    titles = {
        "golden": "Golden model, milliseconds of one inference",
        "batch": "Cycles of one inference in RTL, by inferences in a run",
        "simulation": "Simulating the whole NPU",
    }
    table = Table(title=titles[part], title_justify="left", box=None, pad_edge=False)
    for key, value in rows[0].items():
        table.add_column(
            key.replace("_", " "), justify="left" if isinstance(value, str) else "right"
        )
    for row in rows:
        table.add_row(*(_shown(key, value) for key, value in row.items()))
    return table


def _shown(key: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if key == "cycles_per_s" else f"{value:.2f}"
    return escape(str(value))
