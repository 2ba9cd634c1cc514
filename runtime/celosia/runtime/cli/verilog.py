"""`celosia verilog`: a design as one Verilog file, and its description for FuseSoC."""

from pathlib import Path
from typing import Annotated

import typer

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import print_json, results


def verilog(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.v", help="File to write.")
    ],
    config: Config = "npu8x8",
    top: Annotated[
        str,
        typer.Option(
            "--top",
            metavar="TOP",
            help="npu, wishbone (an NPU on a Wishbone bus), crossbar (a crossbar's controller) or "
            "crossbar-pins (the same with a front end on pins).",
        ),
    ] = "npu",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a design's Verilog, and beside it FILE.core for FuseSoC.

    The same configuration always gives the same bytes. docs/verilog.md says how to use the NPU
    in a design of your own, and docs/memory-map.md what its bus reaches.
    """
    from importlib.metadata import version

    from celosia.golden.bus_window import window_bytes
    from celosia.golden.config import load_config
    from celosia.golden.files import write_atomically
    from celosia.hdl.tops import TOPS
    from celosia.runtime.fusesoc import core_text
    from celosia.sim.design_verilog import design_verilog

    if top not in TOPS:
        raise CelosiaError(f"--top must be {', '.join(TOPS)}, not {top!r}")
    if output.suffix != ".v" or not output.stem.strip("."):
        raise CelosiaError(f"--output must be a file named *.v, not {str(output)!r}")
    design, npu = TOPS[top], load_config(config)
    text = design_verilog(npu, top)
    core = output.with_suffix(".core")
    write_atomically(output, text.encode())
    write_atomically(core, core_text(design, npu.name, version("celosia"), output.name).encode())
    window = {"window_bytes": window_bytes(npu)} if top == "wishbone" else {}
    if as_json:
        print_json(
            {
                "file": str(output),
                "core": str(core),
                "module": design.module,
                "config": npu.name,
                "bytes": len(text),
                **window,
            }
        )
        return
    on_bus = f", a window of {window_bytes(npu):#x} bytes" if window else ""
    results.print(
        f"{output}: module {design.module} for {npu.name}, {len(text):,} bytes{on_bus}\n"
        f"{core}: its description for FuseSoC",
        markup=False,
        soft_wrap=True,
    )
