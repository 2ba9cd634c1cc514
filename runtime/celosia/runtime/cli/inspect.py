"""`celosia inspect`: what is in a program file."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from celosia.compiler.names import short_name
from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.inspect_tiles import check_tiles, print_tiles
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import name_width, print_json, print_rest, results

_LONGEST = 40  # rows of a table that nobody asked for in full
_NAME = 32
_LAYER_COLUMNS = 72  # what the other columns of the table of layers take
_CHART = 72


def inspect(
    program: Annotated[Path, typer.Argument(metavar="P.cel", help="Program file.")],
    layers: Annotated[
        bool, typer.Option("--layers", help="Show only the layers, all of them.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Show only the memory, all of its tensors.")
    ] = False,
    disassembly: Annotated[
        bool, typer.Option("--disassembly", help="Show only the instructions, all of them.")
    ] = False,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Show only the crossbar's tiles, all of them.")
    ] = False,
    piece: Annotated[
        int | None,
        typer.Option("--piece", metavar="N", help="Show the program of one piece of a network."),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what is in a program file: costs of layers, memory over time, tiles, instructions.

    Cycles are computed from the program; 'celosia run --device rtl' counts them. A network that is
    larger than the NPU's memories shows its layers and pieces, and --piece one of these.
    """
    from celosia.compiler.program_file import load_program
    from celosia.compiler.streaming import StreamedProgram
    from celosia.runtime.cli.inspect_streamed import inspect_streamed
    from celosia.runtime.program_report import describe_program

    loaded = load_program(program)
    if isinstance(loaded, StreamedProgram):
        if piece is None:
            if memory or disassembly:
                raise CelosiaError(
                    f"--memory and --disassembly are about one piece: --piece must name one, from "
                    f"0 to {len(loaded.pieces) - 1}"
                )
            inspect_streamed(program, loaded, layers=layers, tiles=tiles, as_json=as_json)
            return
        if not 0 <= piece < len(loaded.pieces):
            raise CelosiaError(
                f"piece must be a number from 0 to {len(loaded.pieces) - 1}, not {piece}"
            )
        loaded = loaded.programs[loaded.pieces[piece].program]
    elif piece is not None:
        raise CelosiaError("--piece must be left out: the network is in one piece")
    report = describe_program(loaded)
    listing = _listing(loaded)
    if as_json:
        print_json({"file": str(program), **report, "listing": listing})
        return
    if tiles:
        check_tiles(report)
    everything = not (layers or memory or tiles or disassembly)
    if everything:
        _print_summary(report)
    if layers or everything:
        _print_layers(report, None if layers else _LONGEST)
    if memory or everything:
        _print_memory(loaded, report, None if memory else _LONGEST)
    if tiles or (everything and "crossbar" in report):
        print_tiles(report["crossbar"], None if tiles else _LONGEST)
    if disassembly or everything:
        _print_disassembly(listing, None if disassembly else 12)


def _listing(program: Any) -> list[dict[str, Any]]:
    from celosia.compiler.assembler import disassemble

    starts = {layer.first: index for index, layer in reversed(list(enumerate(program.layers)))}
    return [
        {
            "address": address,
            "text": str(instruction),
            **({"layer": starts[index]} if index in starts else {}),
        }
        for index, (address, instruction) in enumerate(
            disassemble(program.config, program.image, program.start)
        )
    ]


def _print_summary(report: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("model", escape(report["model"]))
    table.add_row("config", f"{escape(report['config'])}, rounding {report['rounding']}")
    for title, key in (("input", "inputs"), ("output", "outputs")):
        for port in report[key]:
            shape = " × ".join(map(str, port["shape"]))
            table.add_row(
                title,
                f"{escape(short_name(port['name'], _NAME))}: int8 {shape}, "
                f"stored as {port['layout']}, "
                f"vectors {port['address']:,} to {port['address'] + port['vectors'] - 1:,}",
            )
    for title, key in (("host before", "host_before"), ("host after", "host_after")):
        table.add_row(title, ", ".join(report[key]) or "nothing")
    for title, key in (("scratchpad", "scratchpad"), ("weight memory", "weights")):
        used, available = (report["memory"][key][k] for k in ("used_bytes", "available_bytes"))
        table.add_row(title, f"{used:,} of {available:,} bytes ({used / available:.0%})")
    batch = report["batch"]
    twice = "" if report["entries"] == 1 else " and once more"
    each = "" if batch == 1 else f" for {batch} inferences"
    table.add_row(
        "program",
        f"{report['instructions']:,} instructions from vector {report['start']:,}{twice}, "
        f"{len(report['layers'])} layers, {batch * report['macs']:,} MACs, "
        f"{report['cycles']:,} cycles (modelled){each}",
    )
    results.print(table)


def _print_layers(report: dict[str, Any], limit: int | None) -> None:
    table = Table(box=None, pad_edge=False, title="Layers", title_justify="left")
    for name in ("#", "op", "output"):
        table.add_column(name, no_wrap=True, justify="right" if name == "#" else "left")
    for name in ("MACs", "passes", "cycles", "used", "instr."):
        table.add_column(name, no_wrap=True, justify="right")
    for index, layer in enumerate(report["layers"][:limit]):
        table.add_row(
            str(index),
            layer["op"],
            escape(short_name(layer["name"], name_width(_LAYER_COLUMNS))),
            f"{layer['macs']:,}" if layer["macs"] else "-",
            f"{layer['passes']:,}" if layer["passes"] else "-",
            f"{layer['cycles']:,}",
            f"{layer['utilisation']:.0%}" if layer["macs"] else "-",
            f"{layer['instructions']:,}",
        )
    results.print()
    results.print(table)
    print_rest(len(report["layers"]), limit, "layers", "--layers")


def _print_memory(program: Any, report: dict[str, Any], limit: int | None) -> None:
    from celosia.runtime.program_report import SYMBOLS, memory_chart

    count = min(len(program.layers), _CHART)
    which = "" if count == len(program.layers) else f", the first {count} are shown"
    results.print(f"\n[italic]Scratchpad over time[/] (a column is a layer{which})")
    width = len(f"{program.config.scratchpad_depth:,}")
    for address, row in memory_chart(program, _CHART):
        results.print(f"{address:>{width},} {row}", markup=False)
    results.print(f"{'':>{width}} {''.join(str(n % 10) for n in range(count))}")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("tensor", no_wrap=True)
    for name in ("shape", "vectors", "count", "layers"):
        table.add_column(name, no_wrap=True, justify="right")
    for index, tensor in enumerate(report["tensors"][:limit]):
        end = tensor["address"] + tensor["vectors"] - 1
        table.add_row(
            SYMBOLS[index % len(SYMBOLS)],
            escape(short_name(tensor["name"], _NAME)),
            "×".join(map(str, tensor["shape"])),
            f"{tensor['address']:,} to {end:,}",
            f"{tensor['vectors']:,}",
            f"{tensor['first_layer']} to {tensor['last_layer']}",
        )
    results.print()
    results.print(table)
    print_rest(len(report["tensors"]), limit, "tensors", "--memory")


def _print_disassembly(listing: list[dict[str, Any]], limit: int | None) -> None:
    results.print("\n[italic]Instructions[/] (by weight vector)")
    for line in listing[:limit]:
        if "layer" in line:
            results.print(f"layer {line['layer']}:")
        results.print(f"{line['address']:>8}  {line['text']}", markup=False, soft_wrap=True)
    print_rest(len(listing), limit, "instructions", "--disassembly")
