"""`celosia quantize`: from a float ONNX model to an int8 one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from celosia.compiler.names import short_name
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import errors, name_width, print_json, results

_COLUMNS = 56  # what the columns beside a layer's name take

if TYPE_CHECKING:
    from celosia.runtime.quantizing import QuantizeReport


def quantize(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="A float ONNX model.")],
    calibration: Annotated[
        Path,
        typer.Option(
            "--calibration",
            metavar="X.npy",
            help="Samples, [n, ...] of the network's float32 input, prepared as for the model.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.onnx",
            help="File to write.  [default: MODEL's name with _int8, in the current folder]",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="Y.npy",
            help="Classes of the samples, [n], to compare accuracies.",
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Turn a float ONNX model into an int8 one that runs on the NPU.

    The ranges of activations are those that the samples show; a few dozen typical ones are enough.
    Batch normalisation is folded into weights, which are int8 per channel. What is printed is the
    accuracy before and after, or the error of each layer; docs/quantising.md says more.
    """
    from celosia.runtime.quantizing import quantize_file

    with errors.status("quantising"):
        report = quantize_file(model, calibration, output, labels)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"


def _print(report: "QuantizeReport") -> None:
    if report.accuracy is None:
        table = Table(box=None, pad_edge=False)
        table.add_column("tensor", no_wrap=True)
        table.add_column("operator", no_wrap=True)
        for title in ("scale", "rounded, dB", "network, dB"):
            table.add_column(title, justify="right", no_wrap=True)
        for layer in report.layers:
            row: list[Any] = [escape(short_name(layer["name"], name_width(_COLUMNS)))]
            row += [layer["operator"], f"{layer['scale']:.3g}"]
            row += [_decibels(layer[key]) for key in ("rounded_db", "network_db")]
            table.add_row(*row)
        results.print(table)
        results.print(
            "\nsignal to noise: of the float tensor rounded to int8 by itself, and of the int8 "
            "network's"
        )
    else:
        accuracy = report.accuracy
        results.print(
            f"accuracy {accuracy['float']:.2%} before, {accuracy['int8']:.2%} after "
            f"({report.samples} samples; the same class in {accuracy['agreement']:.2%})"
        )
    results.print(f"signal to noise of the output: {_decibels(report.output_db)} dB")
    if report.differing_bytes:
        results.print(f"[bold red]{report.differing_bytes} bytes differ[/] from ONNX Runtime's")
    else:
        results.print("[green]every byte equals ONNX Runtime's[/] on the samples compared")
    results.print(f"{report.file}: {report.bytes:,} bytes", markup=False, soft_wrap=True)
