"""`celosia energy`: where an inference's energy and time go, beside published processors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import (
    DEFAULT_CONFIG,
    ConfigOrProgram,
    Json,
    Rounding,
    Verbose,
    check_left_out,
)
from celosia.runtime.cli.output import errors, name_width, print_json, results

if TYPE_CHECKING:
    from celosia.runtime.energy import DesignEnergy, EnergyReport

_COLUMNS = 66  # what the columns beside a layer's name take


def energy(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite, .onnx or .cel file, or 'digits'.")
    ],
    config: ConfigOrProgram = None,
    rounding: Rounding = None,
    clock_mhz: Annotated[
        float,
        typer.Option("--clock-mhz", metavar="MHZ", help="Clock that turns cycles into time."),
    ] = 100.0,
    roofline: Annotated[
        Path | None,
        typer.Option("--roofline", metavar="F.png", help="Draw the roofline of the layers."),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show energy and time of one inference, by layer and by what costs it.

    Events are counted in the program and cycles come from the cycle model; what an event costs is a
    published figure of a chip, named with its source in the output. Systolic array, crossbar and
    processors with published results of the same network, or of ResNet8 scaled to its size, stand
    side by side.
    """
    from celosia.runtime.energy import energy_report
    from celosia.runtime.session import Placement, open_session

    if not clock_mhz > 0:
        raise CelosiaError(f"--clock-mhz must be above 0, not {clock_mhz:g}")
    with errors.status("compiling"):
        session = open_session(model, config or DEFAULT_CONFIG, rounding)
        given = {"--config": config, "--rounding": rounding}
        check_left_out(model, session.graph is None, given)
        engine = "crossbar" if session.program.crossbar else "systolic array"
        programs = {engine: session.program}
        if session.graph is not None:
            placement = Placement(engine="crossbar")
            placed = open_session(model, config or DEFAULT_CONFIG, rounding, placement=placement)
            programs["crossbar"] = placed.program
        report = energy_report(programs, clock_mhz)
    if roofline is not None:
        from celosia.golden.files import write_atomically
        from celosia.runtime.roofline import draw_roofline

        write_atomically(roofline, draw_roofline(report))
    if as_json:
        print_json(report.to_json())
        return
    for design in report.designs:
        _print_layers(design)
        results.print()
    _print_comparison(report)
    results.print()
    _print_costs(report)


def _print_layers(design: "DesignEnergy") -> None:
    table = Table(box=None, pad_edge=False, title=f"On the {design.title}", title_justify="left")
    for title in ("layer", "engine"):
        table.add_column(title, no_wrap=True)
    for title in ("cycles", "time", "energy", "most of it"):
        table.add_column(title, justify="right", no_wrap=True)
    width = name_width(_COLUMNS)
    for layer in design.layers:
        total = sum(layer.uj.values())
        part, most = max(layer.uj.items(), key=lambda item: item[1])
        table.add_row(
            escape(layer.name[-width:]),
            layer.engine,
            f"{layer.cycles:,}",
            f"{layer.us:,.1f} µs",
            f"{total:,.3f} µJ",
            f"{most / total:.0%} {part.replace('_', ' ')}" if total else "-",
        )
    table.add_section()
    table.add_row(
        "[bold]whole network[/]",
        "",
        f"{design.cycles:,}",
        f"{1e3 * design.ms:,.1f} µs",
        f"{design.uj:,.3f} µJ",
    )
    results.print(table)


def _print_comparison(report: "EnergyReport") -> None:
    what = f"MLPerf Tiny's {report.benchmark}" if report.benchmark else "ResNet8, scaled by MACs"
    table = Table(box=None, pad_edge=False, title="Side by side", title_justify="left")
    table.add_column("where", no_wrap=True)
    for title in ("MHz", "time", "energy", "pJ/MAC"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("from")
    for design in report.designs:
        table.add_row(
            f"{report.config}, {design.title}",
            f"{report.clock_mhz:g}",
            f"{design.ms:,.3f} ms",
            f"{design.uj:,.1f} µJ",
            f"{1e6 * design.uj / report.macs:,.1f}",
            "counted events x published costs",
        )
    for chip in report.processors:
        table.add_row(
            chip.name,
            str(chip.mhz),
            f"{chip.ms:,.3f} ms",
            f"{chip.uj:,.1f} µJ",
            f"{1e6 * chip.uj / report.macs:,.1f}",
            f"{chip.source}: {what}",
        )
    results.print(table)
    results.print(
        f"the NPU's rows cover its memories and arithmetic at an assumed clock of "
        f"{report.clock_mhz:g} MHz, without clock tree, leakage and host; the chips' rows are "
        f"measured on whole chips",
        soft_wrap=True,
    )


def _print_costs(report: "EnergyReport") -> None:
    table = Table(box=None, pad_edge=False, title="What an event costs", title_justify="left")
    table.add_column("event")
    table.add_column("pJ", justify="right", no_wrap=True)
    table.add_column("figure", no_wrap=True)
    table.add_column("source")
    for cost in report.costs.values():
        figure = "published" if cost["published"] else "derived"
        table.add_row(cost["event"], f"{cost['pj']:.3g}", figure, cost["source"])
    results.print(table)
