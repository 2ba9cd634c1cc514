"""`celosia prune`: zeros in a model where an NPU can leave out whole weight tiles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from celosia.compiler.names import short_name
from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import errors, name_width, print_json, results

_COLUMNS = 62  # what the columns beside a layer's name take

if TYPE_CHECKING:
    from celosia.runtime.pruning import PruneReport


def prune(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or 'digits'.")
    ],
    sparsity: Annotated[
        float | None,
        typer.Option(
            "--sparsity",
            metavar="S",
            help="Share of each layer's weight tiles to make zero, from 0 to 1.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="File to write.  [default: MODEL's name with _pruned, in the current folder]",
            show_default=False,
        ),
    ] = None,
    config: Config = "npu8x8",
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="M.npz",
            help="Boolean arrays by names of weights tensors: False makes a weight zero.",
        ),
    ] = None,
    save_mask: Annotated[
        Path | None,
        typer.Option("--save-mask", metavar="M.npz", help="Write the masks that were applied."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="X.npy",
            help="Samples on which the remaining weights of a .tflite file are refitted.",
        ),
    ] = None,
    all_layers: Annotated[
        bool,
        typer.Option("--all-layers", help="Prune the first and the last layer by magnitude, too."),
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make weight tiles of a model zero, so that the NPU skips them.

    In each layer the tiles of R x C weights, as the compiler lays them out for the configuration,
    whose weights are smallest become zero. The first and the last layer are left as they are, and
    so are depthwise ones. The file written is MODEL with other constants; docs/pruning.md says
    more.
    """
    from celosia.compiler.importer import is_onnx
    from celosia.compiler.importer.onnx.rewrite import replace_onnx_weights
    from celosia.compiler.importer.rewrite import replace_constants
    from celosia.compiler.pruning import read_masks, write_masks
    from celosia.golden.config import load_config
    from celosia.golden.files import write_atomically
    from celosia.runtime.inputs import load_samples
    from celosia.runtime.pruning import changed_constants
    from celosia.runtime.pruning import prune as prune_graph
    from celosia.runtime.session import open_model

    if is_onnx(model) and calibration is not None:
        raise CelosiaError(
            "--calibration needs a .tflite file: the biases of an .onnx file, which refitting "
            "changes, may be computed from several of its constants"
        )
    with errors.status("pruning"):
        npu = load_config(config)
        graph, content = open_model(model)
        masks = {} if mask is None else read_masks(mask, graph)
        inputs = [graph.tensors[index] for index in graph.inputs]
        samples = [] if calibration is None else load_samples(calibration, inputs)
        pruned = prune_graph(graph, npu, sparsity, masks, samples, all_layers=all_layers)
        changed = changed_constants(graph, pruned.graph)
        if is_onnx(model):
            written = replace_onnx_weights(content, Path(model).parent, graph, changed)
        else:
            written = replace_constants(content, changed)
    path = (
        Path(f"{graph.name}_pruned{Path(model).suffix or '.tflite'}") if output is None else output
    )
    if save_mask is not None:
        write_masks(save_mask, graph, pruned.masks)
    write_atomically(path, written)
    if as_json:
        print_json({"file": str(path), **pruned.report.to_json()})
    else:
        print_report(pruned.report, path)


def print_report(report: "PruneReport", path: Path) -> None:
    """Layer by layer, then the whole."""
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", no_wrap=True)
    table.add_column("operator", no_wrap=True)
    for title in ("zeros", "tiles", "skipped", "cycles", "now"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in report.layers:
        table.add_row(
            escape(short_name(layer.name, name_width(_COLUMNS))),
            layer.op,
            f"{layer.sparsity:.0%}",
            f"{layer.tiles:,}",
            f"{layer.skipped:,}",
            _count(layer.cycles_before),
            _count(layer.cycles_after),
        )
    table.add_section()
    table.add_row(
        "[bold]whole network[/]",
        "",
        f"{report.sparsity:.0%}",
        f"{report.tiles:,}",
        f"{report.skipped:,}",
        _count(report.cycles_before),
        _count(report.cycles_after),
    )
    results.print(table)
    results.print()
    results.print(
        f"{path}: {report.model} pruned for {report.config}; cycles are the cycle model's",
        markup=False,
        soft_wrap=True,
    )


def _count(cycles: int | None) -> str:
    return "doesn't fit" if cycles is None else f"{cycles:,}"
