"""`celosia crossbar mvm`: one product on one tile."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from celosia.runtime.cli.crossbar_options import (
    DeviceFile,
    LineResistance,
    Seed,
    check_plot,
    chosen_device,
    preset_option,
)
from celosia.runtime.cli.options import Json, Mapping, Verbose
from celosia.runtime.cli.output import errors, print_json, results

if TYPE_CHECKING:
    from celosia.runtime.crossbar.mvm import MvmReport

DEFAULT_PRESET = "hfox-neurram"


def mvm(
    preset: Annotated[str | None, preset_option(DEFAULT_PRESET)] = None,
    device: DeviceFile = None,
    rows: Annotated[int, typer.Option("--rows", metavar="N", help="Inputs: rows.")] = 64,
    outputs: Annotated[
        int,
        typer.Option("--outputs", metavar="N", help="int8 weights in a row, each on some columns."),
    ] = 8,
    cell_bits: Annotated[
        int, typer.Option("--cell-bits", metavar="B", help="Bits of a cell: 1, 2 or 4.")
    ] = 4,
    adc_bits: Annotated[
        int, typer.Option("--adc-bits", metavar="B", help="Bits of the converters, 4 to 12.")
    ] = 8,
    mapping: Mapping = None,
    line_resistance: LineResistance = None,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="Time since programming.")
    ] = 1.0,
    calibrated: Annotated[
        bool,
        typer.Option(
            "--calibrate/--raw",
            help="Measure the converters' range and each column's gain and offset first, or not.",
        ),
    ] = True,
    vectors: Annotated[
        int, typer.Option("--vectors", metavar="N", help="Random input vectors.")
    ] = 100,
    seed: Seed = 1,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE.png", help="Draw the sums, their errors and the cells."
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Multiply random vectors by random weights on one tile, beside the exact product.

    Cells are put at their levels with the error that programming leaves. Each input, 0 to 255, is
    driven bit by bit as the controller does.
    """
    from celosia.golden.crossbar.config import WeightMapping
    from celosia.runtime.crossbar.mvm import MvmSetup, multiply_once

    chosen = chosen_device(preset, device, DEFAULT_PRESET)
    check_plot(output)
    setup = MvmSetup(
        rows=rows,
        outputs=outputs,
        cell_bits=cell_bits,
        adc_bits=adc_bits,
        vectors=vectors,
        mapping=WeightMapping.named(mapping or WeightMapping.DIFFERENTIAL),
        line_ohm=line_resistance,
        seconds=seconds,
        calibrated=calibrated,
        seed=seed,
    )
    with errors.status("multiplying"):
        report = multiply_once(chosen, setup)
    if output is not None:
        _draw(report, output)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _draw(report: "MvmReport", output: Path) -> None:
    from celosia.golden.files import write_atomically
    from celosia.runtime.crossbar.picture import draw_product

    write_atomically(output, draw_product(report))


def _print(report: "MvmReport") -> None:
    setup = report.setup
    table = Table(box=None, pad_edge=False)
    for title in ("output", "exact", "crossbar", "error", "error rms"):
        table.add_column(title, justify="right", no_wrap=True)
    spread = (report.errors.astype(float) ** 2).mean(axis=0) ** 0.5
    for output in range(setup.outputs):
        table.add_row(
            str(output),
            f"{report.exact[0, output]:,}",
            f"{report.found[0, output]:,}",
            f"{report.errors[0, output]:+,}",
            f"{spread[output]:,.0f}",
        )
    results.print("[italic]Sums of the first vector, and the errors of all[/]")
    results.print(table)
    results.print()
    how = "calibrated" if setup.calibrated else "not calibrated"
    for sentence in (
        f"{report.device}, {setup.rows} x {report.columns} cells of {setup.cell_bits} bits, "
        f"{setup.adc_bits}-bit converters, {how}, {setup.seconds:g} s after programming, lines of "
        f"{report.lines.row:g} ohm",
        f"error of {setup.vectors} x {setup.outputs} sums: rms {report.error_rms:,.0f}, which is "
        f"{report.error_relative:.2%} of the exact sums' rms; "
        f"{report.quantisation:.2%} on ideal cells",
        f"{report.conversions:,} conversions; {report.reissues} input bits issued again, "
        f"{report.saturations} columns saturated all the same",
    ):
        results.print(sentence, markup=False, soft_wrap=True)
