"""`celosia inspect` of a network in pieces."""

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from celosia.compiler.names import short_name
from celosia.compiler.streaming import StreamedProgram
from celosia.runtime.cli.inspect_tiles import check_tiles, print_tiles
from celosia.runtime.cli.output import in_pieces, name_width, print_json, print_rest, results
from celosia.runtime.streamed_report import describe_streamed

_LONGEST = 40  # rows of a table that nobody asked for in full
_LAYER_COLUMNS = 72  # what the other columns of the table of layers take


def inspect_streamed(
    path: Path, streamed: StreamedProgram, *, layers: bool, tiles: bool, as_json: bool
) -> None:
    """Show layers, crossbar tiles and pieces; only all layers or all tiles where one is set."""
    report = describe_streamed(streamed)
    if as_json:
        print_json({"file": str(path), **report})
        return
    if tiles:
        check_tiles(report)
    everything = not (layers or tiles)
    if everything:
        _print_summary(report)
    if layers or everything:
        _print_layers(report["layers"], None if layers else _LONGEST)
    if tiles or (everything and "crossbar" in report):
        print_tiles(report["crossbar"], None if tiles else _LONGEST)
    if everything:
        _print_pieces(report["steps"])


def _print_summary(report: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("model", escape(report["model"]))
    table.add_row("config", f"{escape(report['config'])}, rounding {report['rounding']}")
    for title, key in (("input", "inputs"), ("output", "outputs")):
        for port in report[key]:
            shape = " × ".join(map(str, port["shape"]))
            table.add_row(title, f"{escape(short_name(port['name']))}: {port['dtype']} {shape}")
    for title, key in (("scratchpad", "scratchpad"), ("weight memory", "weights")):
        used, available = (report["memory"][key][k] for k in ("used_bytes", "available_bytes"))
        table.add_row(
            title, f"at most {used:,} of {available:,} bytes ({used / available:.0%}) in a piece"
        )
    each = "" if report["batch"] == 1 else f" for {report['batch']} inferences"
    table.add_row("pieces", in_pieces(report["pieces"], report["host_bytes"]))
    table.add_row(
        "programs",
        f"{report['programs']}; {len(report['layers'])} layers, "
        f"{report['batch'] * report['macs']:,} MACs, {report['cycles']:,} cycles (modelled){each}",
    )
    results.print(table)


def _print_layers(layers: list[dict[str, Any]], limit: int | None) -> None:
    table = Table(box=None, pad_edge=False, title="Layers", title_justify="left")
    for name in ("#", "op", "output"):
        table.add_column(name, no_wrap=True, justify="right" if name == "#" else "left")
    for name in ("MACs", "pieces", "cycles", "used"):
        table.add_column(name, no_wrap=True, justify="right")
    for index, layer in enumerate(layers[:limit]):
        table.add_row(
            str(index),
            layer["op"],
            escape(short_name(layer["name"], name_width(_LAYER_COLUMNS))),
            f"{layer['macs']:,}" if layer["macs"] else "-",
            f"{layer['pieces']:,}",
            f"{layer['cycles']:,}",
            f"{layer['utilisation']:.0%}" if layer["macs"] else "-",
        )
    results.print()
    results.print(table)
    print_rest(len(layers), limit, "layers", "--layers")


def _print_pieces(steps: list[dict[str, Any]]) -> None:
    """A row for pieces of one program that follow each other."""
    table = Table(box=None, pad_edge=False, title="Pieces", title_justify="left")
    for name in ("pieces", "program", "layers", "part of the output", "cycles each"):
        table.add_column(name, no_wrap=True, justify="left" if "part" in name else "right")
    number = 0
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for step in steps:
        if "host" in step:
            rows.append((number, number, step))
            continue
        if rows and rows[-1][2].get("program") == step["program"]:
            rows[-1] = (rows[-1][0], number + 1, rows[-1][2])
        else:
            rows.append((number, number + 1, step))
        number += 1
    for first, end, step in rows:
        if "host" in step:
            table.add_row("host", "", "", ", ".join(step["host"]), "")
            continue
        layers = step["layers"]
        shape = [stop - start for start, stop in step["outputs"][0]["spans"]]
        table.add_row(
            str(first) if end == first + 1 else f"{first} to {end - 1}",
            str(step["program"]),
            str(layers[0]) if len(layers) == 1 else f"{layers[0]} to {layers[-1]}",
            " × ".join(map(str, shape)),
            f"{step['cycles']:,}",
        )
    results.print()
    results.print(table)
