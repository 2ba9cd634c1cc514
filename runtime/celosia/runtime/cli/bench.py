"""`celosia bench`: cycles beside closed forms, simulation speed, golden speed."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import Json, Rounding, Verbose
from celosia.runtime.cli.output import errors, print_json, results


class Part(StrEnum):
    """What to measure."""

    CYCLES = "cycles"
    SIMULATION = "simulation"
    GOLDEN = "golden"


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
    rounding: Rounding = "tflm",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Measure cycles, simulation speed and the golden model's speed.

    Cycles of one inference in RTL stand beside SCALE-Sim's closed forms for arrays of the same
    size. Simulation speed is that of the first model on the first configuration, beside cocotb's
    default build and a bare C++ loop. The golden model is timed beside tflite-micro, whose rounding
    it then has.
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
        return
    for part, rows in measured.items():
        results.print(_table(part, rows))
        results.print()


def _cycles(model: str, config: str, rounding: str) -> dict[str, Any]:
    from celosia.runtime.bench import scale_sim_cycles
    from celosia.runtime.session import open_session

    session = open_session(model, config, rounding)
    if session.graph is None:
        raise CelosiaError(f"model must be a .tflite file to be measured, not {model!r}")
    session.open("rtl")
    report = session.run(session.samples(None)).report
    forms = scale_sim_cycles(session.graph, session.program.config)
    return {
        "model": report.model,
        "config": report.config,
        "macs": report.macs,
        "cycles": report.cycles_per_inference,
        "utilisation": report.utilisation,
        "outputs_match": report.outputs_match,
        "scale_sim_ws": forms.weight_stationary,
        "scale_sim_os": forms.output_stationary,
    }


def _golden(model: str) -> dict[str, Any]:
    from celosia.runtime.bench import golden_speed
    from celosia.runtime.session import open_model

    graph, content = open_model(model)
    return {"model": graph.name, **asdict(golden_speed(graph, content))}


def _simulation(model: str, config: str, rounding: str) -> list[dict[str, Any]]:
    from celosia.runtime.bench import simulation_speeds
    from celosia.runtime.session import open_session

    program = open_session(model, config, rounding).program
    rows = [asdict(speed) for speed in simulation_speeds(program, 3)]
    bare = rows[-1]["cycles_per_s"]
    return [{**row, "ratio_to_bare_loop": row["cycles_per_s"] / bare} for row in rows]


def _table(part: str, rows: list[dict[str, Any]]) -> Table:
    titles = {
        "cycles": "Cycles of one inference in RTL",
        "golden": "Golden model, milliseconds of one inference",
        "simulation": "Simulating the whole NPU",
    }
    table = Table(title=titles[part], title_justify="left", box=None, pad_edge=False)
    for key, value in rows[0].items():
        table.add_column(
            key.replace("_", " "), justify="left" if isinstance(value, str | bool) else "right"
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
        if key == "utilisation":
            return f"{value:.1%}"
        return f"{value:,.0f}" if key == "cycles_per_s" else f"{value:.2f}"
    return escape(str(value))
