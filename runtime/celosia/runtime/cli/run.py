"""`celosia run`: compile a network, run it on a device, compare it with the golden model."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from celosia.compiler.names import short_name
from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import (
    BATCH_HELP,
    DEFAULT_CONFIG,
    Cells,
    ConfigOrProgram,
    Engine,
    Json,
    Mapping,
    Overlap,
    Place,
    Rounding,
    Verbose,
    check_left_out,
)
from celosia.runtime.cli.output import (
    NO_OVERLAP,
    errors,
    in_pieces,
    name_width,
    print_json,
    results,
)

_COLUMNS = 68  # what the columns beside a layer's name take

if TYPE_CHECKING:
    from celosia.runtime.run import CrossbarReport, RunReport


def run(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A .tflite or .onnx model, a .cel program, or `digits`, the embedded model.",
        ),
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="X.npy",
            help="Samples, [n, ...] of the network's input type.  [default: one batch, random]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="golden|rtl|board", help="Where to run it.")
    ] = "golden",
    port: Annotated[
        str | None,
        typer.Option(
            "--port",
            metavar="PORT",
            help="Serial port of the board, real or from `celosia serve`.",
            show_default=False,
        ),
    ] = None,
    baud: Annotated[
        int, typer.Option("--baud", metavar="N", help="Bits a second on that port.")
    ] = 1_000_000,
    config: ConfigOrProgram = None,
    rounding: Rounding = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            metavar="N",
            help=f"{BATCH_HELP}  [default: 1]",
            show_default=False,
        ),
    ] = None,
    overlap: Overlap = False,
    engine: Engine = "systolic",
    place: Place = None,
    crossbar: Cells = None,
    front_end: Annotated[
        str,
        typer.Option(
            "--front-end",
            metavar="emulator|physics",
            help="What stands for the crossbar: its fixed-point emulator, or the device's physics.",
        ),
    ] = "emulator",
    mapping: Mapping = None,
    programming: Annotated[
        str,
        typer.Option(
            "--programming",
            metavar="direct|commands",
            help="How the crossbar's levels come into hardware: through the emulator's back door, "
            "or cell by cell by the controller, on the host's commands.",
        ),
    ] = "direct",
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Let the controller measure and correct every column of the crossbar's tiles.",
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of all that the crossbar's cells draw.")
    ] = 1,
    outputs: Annotated[
        Path | None,
        typer.Option("--outputs", metavar="Y.npy", help="Write the outputs, [n, ...]."),
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option("--waves", metavar="F.fst", help="Write waves of the RTL's signals."),
    ] = None,
    pieces: Annotated[
        str | None,
        typer.Option(
            "--pieces",
            metavar="A:B",
            help="Of a network in pieces, those that the device runs; the golden machine runs the "
            "others.  [default: all]",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run a network and compare every output byte with the golden model.

    Exit status 1 says that bytes differ. A .cel program brings its own configuration, rounding,
    batch and overlap; it is compared with the golden machine. Samples fill batches in their order.
    A network that is larger than the NPU's memories runs in pieces, whose tensors the host keeps.
    """
    from celosia.runtime.crossbar.tiles import TileOptions
    from celosia.runtime.link.host_link import HostLink
    from celosia.runtime.run import DEVICES
    from celosia.runtime.session import Placement, open_session

    if device not in DEVICES:
        raise CelosiaError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
    if (device == "board") != (port is not None):
        raise CelosiaError("--device board needs --port, and no other device takes one")
    if waves is not None and device != "rtl":
        raise CelosiaError("waves need --device rtl, for the golden machine has no signals")
    with contextlib.ExitStack() as stack:
        status = stack.enter_context(errors.status("compiling"))
        session = open_session(
            model,
            config or DEFAULT_CONFIG,
            rounding,
            batch=1 if batch is None else batch,
            overlap=overlap,
            placement=Placement(engine, tuple(place or ()), crossbar, mapping),
        )
        given = {
            "--config": config,
            "--rounding": rounding,
            "--batch": batch is not None,
            "--overlap": overlap,
            "--engine": engine != "systolic",
            "--place": place,
            "--crossbar": crossbar,
            "--mapping": mapping,
        }
        check_left_out(model, session.graph is None, given)
        samples = session.samples(inputs)
        status.update("building the simulation" if device == "rtl" else "preparing")
        link = None
        if port is not None:
            from celosia.runtime.link.serial_line import SerialLine

            link = HostLink(stack.enter_context(SerialLine(port, baud)))
        tiles = TileOptions(front_end, seed, programming, calibrate)
        tiles.check()
        session.open(device, waves, pieces, link, tiles)
        status.update(f"running {len(samples)} samples")
        result = session.run(samples)
    if outputs is not None:
        session.write_outputs(outputs, result.outputs)
    if as_json:
        print_json(result.report.to_json())
    else:
        print_report(result.report)
        if overlap and not session.program.overlapping:
            results.print(NO_OVERLAP)
    if not result.report.outputs_match:
        raise typer.Exit(1)


def print_report(report: "RunReport") -> None:
    """The report as tables and the sentence that matters."""
    _print_layers(report)
    if report.cycles_per_inference is not None:
        results.print()
        _print_array(report)
    results.print()
    if report.pieces > 1:
        results.print(in_pieces(report.pieces, asdict(report.host_bytes)), soft_wrap=True)
    if report.sim_cycles_per_s:
        results.print(
            f"simulated {report.sim_cycles_per_s:,} cycles/s; "
            f"ran {report.wall_s:.1f} s after {report.build_s:.1f} s of building"
        )
    plural = "s" if report.samples > 1 else ""
    subject = f"{report.samples} sample{plural} of {escape(report.model)}"
    where = f"{report.device} device, {escape(report.config)}, rounding {report.rounding}"
    if report.crossbar is not None:
        _print_crossbar(report.crossbar)
    if report.crossbar is not None and report.crossbar.differing_words:
        results.print(
            f"[bold red]{report.crossbar.differing_words} words of the crossbar's answers and "
            f"counters aren't the golden controller's[/]"
        )
    if not report.mismatches:
        results.print(f"[green]every byte equals the golden model's[/]: {subject} ({where})")
    else:
        results.print(
            f"[bold red]{report.mismatches} bytes differ from the golden model's[/]: "
            f"{subject} ({where})"
        )


def _print_crossbar(crossbar: "CrossbarReport") -> None:
    cycles = crossbar.programming_cycles
    how = "" if cycles is None else f" ({crossbar.programming}, {cycles:,} cycles)"
    lines = [
        f"crossbar: {crossbar.tiles} tiles of {escape(crossbar.device)} ({crossbar.front_end}), "
        f"{crossbar.converged:.1%} of {crossbar.cells:,} cells converged in {crossbar.pulses:,} "
        f"pulses{how}"
    ]
    failed = {name: count for name, count in crossbar.results.items() if name != "converged"}
    if failed:
        lines.append("; ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in failed.items()))
    if crossbar.calibrated or crossbar.uncalibrated:
        lines.append(
            f"{crossbar.calibrated:,} columns calibrated, {crossbar.uncalibrated:,} couldn't be"
        )
    lines.append(
        f"{crossbar.products:,} products; {crossbar.reissues:,} input bits issued again in halves, "
        f"of which {crossbar.saturations:,} columns were still saturated"
    )
    if crossbar.agreement is not None:
        lines.append(
            f"{crossbar.differing_bytes:,} of {crossbar.output_bytes:,} output bytes aren't those "
            f"of exact int8, and {crossbar.agreement:.1%} of the samples have the same largest "
            f"output"
        )
    results.print("\n  ".join(lines), soft_wrap=True)


def _print_layers(report: "RunReport") -> None:
    counted = report.cycles_per_inference is not None
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", no_wrap=True)
    table.add_column("operator", no_wrap=True)
    table.add_column("engine", no_wrap=True)
    for title in ("MACs", "cycles", "utilisation") if counted else ("MACs",):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in report.layers:
        name = short_name(layer.name, name_width(_COLUMNS))
        row = [escape(name), layer.op, layer.engine, f"{layer.macs:,}"]
        if counted:
            row.append("-" if layer.cycles is None else f"{layer.cycles:,}")
            row.append(f"{layer.utilisation:.1%}" if layer.macs and layer.utilisation else "-")
        table.add_row(*row)
    table.add_section()
    whole = ["[bold]whole network[/]", "", "", f"{report.batch * report.macs:,}"]
    if counted:
        whole += [f"{report.cycles:,}", f"{report.utilisation:.1%}"]
    table.add_row(*whole)
    results.print(table)
    if report.batch > 1:
        each = f"; {report.cycles_per_inference:,} cycles each" if counted else ""
        results.print(f"one run makes {report.batch} inferences{each}")
    if report.cycles_source == "model":
        results.print("cycles are modelled; --device rtl counts them")
    if report.cycles_source == "mixed":
        results.print("cycles are counted where the device ran, and modelled elsewhere")
    if report.cycles_per_inference_serial is not None:
        results.print(
            f"with the host's transfers: {report.cycles_per_inference_serial:,} cycles an inference"
            + _overlapping(report)
        )


def _overlapping(report: "RunReport") -> str:
    cycles = report.cycles_per_inference_overlapping
    return "" if cycles is None else f", {cycles:,} where they overlap with computation"


def _print_array(report: "RunReport") -> None:
    """Where the array's cycles went; what no layer waited for is left out."""
    from celosia.runtime.waits import MEANINGS, short_title

    layers = [(layer, layer.waits) for layer in report.layers if layer.waits is not None]
    total = {
        counter: sum(waits[counter.name.lower()] for _, waits in layers) for counter in MEANINGS
    }
    shown = [counter for counter in MEANINGS if total[counter]]
    table = Table(box=None, pad_edge=False, title="What the array did", title_justify="left")
    table.add_column("layer", no_wrap=True)
    for counter in shown:
        table.add_column(short_title(counter), justify="right", no_wrap=True)
    width = name_width(sum(2 + max(8, len(short_title(counter))) for counter in shown))
    for layer, waits in layers:
        name = escape(short_name(layer.name, width))
        cells = (waits[counter.name.lower()] for counter in shown)
        table.add_row(name, *(f"{cycles:,}" if cycles else "-" for cycles in cells))
    table.add_section()
    cycles = sum(total.values())
    table.add_row("[bold]whole network[/]", *(f"{total[counter]:,}" for counter in shown))
    table.add_row("", *(f"{total[counter] / cycles:.1%}" for counter in shown))
    results.print(table)
    results.print("; ".join(f"{short_title(counter)}: {MEANINGS[counter]}" for counter in shown))
