"""`celosia demo`: the embedded digit classifier through the RTL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results
from celosia.runtime.cli.run import print_report

if TYPE_CHECKING:
    from celosia.runtime.demo import Demonstration


def demo(
    config: Config = "npu8x8",
    samples: Annotated[
        int, typer.Option(metavar="N", min=2, max=400, help="Held-out digits to run.")
    ] = 200,
    picture: Annotated[Path, typer.Option(metavar="FILE.png", help="Picture to write.")] = Path(
        "celosia-demo.png"
    ),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run held-out digits through the embedded network in RTL, on both matrix engines.

    Ends with accuracy, differing bytes, cycles and utilisation of every layer, and a picture. Ten
    of the digits take the memristor crossbar instead of the systolic array, too.
    """
    from celosia.golden.files import write_atomically
    from celosia.runtime.demo import Demo

    with errors.status("compiling the digit classifier") as status:
        demonstration = Demo(config, samples)
        status.update("building the simulation (the first time this takes a minute or two)")
        demonstration.build()
        status.update(f"running {demonstration.samples} digits through the RTL")
        shown = demonstration.run()
    write_atomically(picture, shown.picture)
    if as_json:
        print_json(
            {
                **shown.report.to_json(),
                "accuracy": shown.accuracy,
                "picture": str(picture),
                "crossbar_run": {
                    **shown.crossbar.to_json(),
                    "accuracy": shown.crossbar_right / shown.crossbar.samples,
                },
            }
        )
    else:
        print_report(shown.report)
        results.print()
        _print_engines(shown)
        results.print(
            f"accuracy {shown.accuracy:.1%} ({shown.right} of {shown.report.samples} held-out "
            f"digits), {shown.report.mismatches} mismatching bytes; picture: {picture}",
            markup=False,
            soft_wrap=True,
        )
    if not (shown.report.outputs_match and shown.crossbar.outputs_match):
        raise typer.Exit(1)


def _print_engines(shown: "Demonstration") -> None:
    """Both engines side by side."""
    table = Table(box=None, pad_edge=False, title="Side by side", title_justify="left")
    table.add_column("engine", no_wrap=True)
    for title in ("digits", "right", "cycles each", "differ from golden", "from exact int8"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, report, right in (
        ("systolic array", shown.report, shown.right),
        ("memristor crossbar", shown.crossbar, shown.crossbar_right),
    ):
        analog = report.crossbar
        inexact = report.mismatches if analog is None else analog.differing_bytes
        table.add_row(
            name,
            str(report.samples),
            f"{right / report.samples:.1%}",
            f"{report.cycles_per_inference:,}",
            f"{report.mismatches} bytes",
            f"{inexact} bytes",
        )
    results.print(table)
    tiles = shown.crossbar.crossbar
    if tiles is not None:
        results.print(
            f"the crossbar: {tiles.tiles} tiles of ideal cells with 8-bit converters, "
            f"{tiles.cells:,} cells programmed with {tiles.pulses:,} pulses; "
            f"--crossbar hfox-neurram of celosia run shows what real ones do to it",
            soft_wrap=True,
        )
    results.print()
