"""`celosia crossbar form` and `celosia crossbar program`: many cells, one by one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.crossbar_options import (
    BiasingName,
    DeviceFile,
    FloatingReads,
    LineResistance,
    Seed,
    check_plot,
    chosen_device,
    in_an_array,
    preset_option,
)
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results

if TYPE_CHECKING:
    from celosia.golden.crossbar.devices.device import Device
    from celosia.runtime.crossbar.cells import FormReport, ProgramReport

DEFAULT_PRESET = "hfox-radar"

MANY, SOME = 32768, 4096
"""Cells where nobody says how many, to program and to form."""
_PASSIVE = 256

Preset = Annotated[str | None, preset_option(DEFAULT_PRESET)]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE.png", help="Draw a histogram of the conductances."),
]


def cells_option(default: int) -> typer.models.OptionInfo:
    """The option `--cells` of a command with this default."""
    option: typer.models.OptionInfo = typer.Option(
        "--cells",
        metavar="N",
        help=f"Cells.  [default: {default}; {_PASSIVE} in a passive array, where each pulse is "
        f"solved by itself]",
        show_default=False,
    )
    return option


def _count(cells: int | None, device: "Device", many: int) -> int:
    """What was asked for, or the default of the device's array."""
    from celosia.golden.crossbar.front_end import Biasing

    if cells is not None:
        return cells
    return many if device.biasing == Biasing.TRANSISTOR else _PASSIVE


def program(
    preset: Preset = None,
    device: DeviceFile = None,
    cells: Annotated[int | None, cells_option(MANY)] = None,
    bits: Annotated[
        int, typer.Option("--bits", metavar="B", help="Bits of a cell: 1, 2 or 4.")
    ] = 2,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            metavar="NAME",
            help="ispp (step pulses) or coarse-fine.",
        ),
    ] = "ispp",
    step_mv: Annotated[
        float | None,
        typer.Option(
            "--step-mv",
            metavar="MV",
            help="Word-line step of the SET ramp.  [default: the device's]",
            show_default=False,
        ),
    ] = None,
    line_resistance: LineResistance = None,
    biasing: BiasingName = None,
    floating_reads: FloatingReads = False,
    seed: Seed = 1,
    plot: Plot = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Program cells to all levels in turn and count pulses.

    The controller's program-and-verify algorithm runs on the device model. Cells are formed and
    RESET before. Cells that fail count with the pulses that they took.
    """
    from celosia.runtime.crossbar.cells import SchemeName, program_cells

    if scheme not in list(SchemeName):
        raise CelosiaError(f"scheme must be one of {', '.join(SchemeName)}, not {scheme!r}")
    chosen = chosen_device(preset, device, DEFAULT_PRESET)
    chosen = in_an_array(chosen, line_resistance, biasing, floating_reads)
    check_plot(plot)
    with errors.status("programming"):
        report = program_cells(
            chosen,
            cells=_count(cells, chosen, MANY),
            bits=bits,
            scheme=SchemeName(scheme),
            seed=seed,
            step_mv=step_mv,
        )
    if plot is not None:
        _draw_program(report, plot)
    if as_json:
        print_json(report.to_json())
    else:
        _print_program(report)


def form(
    preset: Preset = None,
    device: DeviceFile = None,
    cells: Annotated[int | None, cells_option(SOME)] = None,
    line_resistance: LineResistance = None,
    biasing: BiasingName = None,
    floating_reads: FloatingReads = False,
    seed: Seed = 1,
    plot: Plot = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Form fresh cells and measure at which voltages they form.

    The controller ramps the bit line (and the word line) until a cell conducts, then RESETs it.
    """
    from celosia.runtime.crossbar.cells import form_cells

    chosen = chosen_device(preset, device, DEFAULT_PRESET)
    chosen = in_an_array(chosen, line_resistance, biasing, floating_reads)
    check_plot(plot)
    with errors.status("forming"):
        report = form_cells(chosen, cells=_count(cells, chosen, SOME), seed=seed)
    if plot is not None:
        _draw_form(report, plot)
    if as_json:
        print_json(report.to_json())
    else:
        _print_form(report)


def _draw_program(report: "ProgramReport", plot: Path) -> None:
    from celosia.golden.files import write_atomically
    from celosia.runtime.crossbar.picture import draw_histogram

    picture = draw_histogram(
        [
            (f"level {level.level}", report.conductances[report.targets == level.level])
            for level in report.levels
        ],
        [(level.low_us, level.high_us) for level in report.levels],
        f"{report.device}: {report.cells:,} cells of {report.bits} bits by {report.scheme}, "
        f"{report.converged:.1%} converged",
        "conductance, uS (windows shaded)",
    )
    write_atomically(plot, picture)


def _draw_form(report: "FormReport", plot: Path) -> None:
    from celosia.golden.files import write_atomically
    from celosia.runtime.crossbar.picture import draw_histogram

    title = f"{report.device}: {report.formed:.1%} of {report.cells:,} cells formed"
    picture = draw_histogram(
        [("formed", report.conductances)], [], title, "conductance after forming, uS"
    )
    write_atomically(plot, picture)


def _print_program(report: "ProgramReport") -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("level", justify="right")
    for title in ("window, uS", "cells", "converged", "pulses", "median", "mean, uS", "sd, uS"):
        table.add_column(title, justify="right", no_wrap=True)
    for level in report.levels:
        table.add_row(
            str(level.level),
            f"{level.low_us:.1f}-{level.high_us:.1f}",
            f"{level.cells:,}",
            f"{level.converged:.1%}",
            f"{level.pulses_mean:.1f}",
            f"{level.pulses_median:.0f}",
            f"{level.mean_us:.2f}",
            f"{level.sigma_us:.2f}",
        )
    results.print(table)
    results.print()
    results.print(
        f"{report.device}, {report.scheme}, steps of {report.step_mv:g} mV: "
        f"{report.converged:.2%} of {report.cells:,} cells converged, "
        f"{report.kept:.2%} are in their window in the end; pulses mean "
        f"{report.pulses_mean:.1f}, median {report.pulses_median:.0f}, "
        f"95 % within {report.pulses_p95:.0f}",
        markup=False,
        soft_wrap=True,
    )
    _print_results(report.results)


def _print_form(report: "FormReport") -> None:
    results.print(
        f"{report.device}: {report.formed:.2%} of {report.cells:,} cells formed, at "
        f"{report.voltage_mean:.2f} V on the bit line (sd {report.voltage_sigma:.2f}, "
        f"{report.voltage_lowest:.2f} to {report.voltage_highest:.2f})",
        markup=False,
        soft_wrap=True,
    )
    results.print(
        f"conductance after forming: median {report.formed_median_us:.1f} uS "
        f"({report.formed_median_ohm / 1000:.2f} kilohm); {report.converged:.2%} RESET to the "
        f"lowest level; {report.pulses_mean:.1f} pulses a cell",
        markup=False,
        soft_wrap=True,
    )
    _print_results(report.results)


def _print_results(counts: dict[str, int]) -> None:
    found = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    results.print(f"results: {found}", markup=False, soft_wrap=True)
