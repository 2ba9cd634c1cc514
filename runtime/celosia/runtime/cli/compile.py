"""`celosia compile`: from a model to a program file."""

from pathlib import Path
from typing import Annotated

import typer

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import (
    Batch,
    Cells,
    Config,
    Engine,
    Json,
    Mapping,
    Overlap,
    Place,
    Rounding,
    Verbose,
)
from celosia.runtime.cli.output import NO_OVERLAP, crossbar_in_use, in_pieces, print_json, results


def compile_(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or 'digits'.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="P.cel", help="Program file to write.")
    ],
    config: Config = "npu8x8",
    rounding: Rounding = None,
    batch: Batch = 1,
    overlap: Overlap = False,
    engine: Engine = "systolic",
    place: Place = None,
    crossbar: Cells = None,
    mapping: Mapping = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compile a model into a program file.

    The same arguments always give the same bytes. The program runs on the golden machine and on
    the RTL; 'celosia inspect' shows what is in it. A network that is larger than the NPU's memories
    is cut into pieces, whose tensors the host keeps.
    """
    from celosia.compiler.program_file import save_program
    from celosia.compiler.streaming import StreamedProgram
    from celosia.runtime.program_report import describe_program
    from celosia.runtime.session import Placement, open_session
    from celosia.runtime.streamed_report import describe_streamed

    placement = Placement(engine, tuple(place or ()), crossbar, mapping)
    session = open_session(
        model, config, rounding, batch=batch, overlap=overlap, placement=placement
    )
    if session.graph is None:
        raise CelosiaError(
            f"model must be a .tflite or .onnx file, and {model!r} is a program already"
        )
    save_program(session.program, output)
    if isinstance(session.program, StreamedProgram):
        report = describe_streamed(session.program)
    else:
        report = describe_program(session.program)
    if as_json:
        print_json({"file": str(output), "bytes": output.stat().st_size, **report})
        return
    memory = report["memory"]
    each = "" if batch == 1 else f" for {batch} inferences"
    results.print(
        f"{output}: {report['model']} for {report['config']}, {len(report['layers'])} layers, "
        f"{batch * report['macs']:,} MACs, {report['cycles']:,} cycles (modelled){each}",
        markup=False,
        soft_wrap=True,
    )
    for name, label in (("scratchpad", "scratchpad"), ("weights", "weight memory")):
        used, available = memory[name]["used_bytes"], memory[name]["available_bytes"]
        results.print(f"  {label:<14}{used:>9,} of {available:>9,} bytes ({used / available:.0%})")
    if "crossbar" in report:
        results.print(f"  {crossbar_in_use(report['crossbar'])}", soft_wrap=True)
    if overlap and not session.program.overlapping:
        results.print(NO_OVERLAP)
    if "host_bytes" in report:
        results.print(f"  {in_pieces(report['pieces'], report['host_bytes'])}", soft_wrap=True)
