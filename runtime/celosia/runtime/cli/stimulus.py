"""`celosia stimulus`: a network's run as bus accesses for somebody else's testbench."""

from pathlib import Path
from typing import Annotated

import typer

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import (
    DEFAULT_CONFIG,
    ConfigOrProgram,
    Json,
    Rounding,
    Verbose,
    check_left_out,
)
from celosia.runtime.cli.output import print_json, results

_TOPS = ("npu", "wishbone")


def stimulus(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite, .onnx or .cel file, or 'digits'.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.txt", help="File to write.")
    ],
    config: ConfigOrProgram = None,
    rounding: Rounding = None,
    top: Annotated[
        str,
        typer.Option("--top", metavar="npu|wishbone", help="Whose addresses, as in `verilog`."),
    ] = "npu",
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="X.npy",
            help="Samples, [n, ...] of the network's input type.  [default: one, random]",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a network's run as bus accesses, with what the NPU must answer.

    Lines 'w ADDRESS DATA', 'p ADDRESS MASK' (poll) and 'r ADDRESS WORD' are all that a testbench
    in plain Verilog needs, or firmware: docs/verilog.md has one. The words are the golden
    machine's; the host's own operators at a network's ends aren't among them.
    """
    from celosia.compiler.streaming import StreamedProgram
    from celosia.golden.files import write_atomically
    from celosia.runtime.inputs import batches
    from celosia.runtime.session import open_session
    from celosia.runtime.stimulus import stimulus as accesses

    if top not in _TOPS:
        raise CelosiaError(f"--top must be {' or '.join(_TOPS)}, not {top!r}")
    session = open_session(model, config or DEFAULT_CONFIG, rounding)
    given = {"--config": config, "--rounding": rounding}
    check_left_out(model, session.graph is None, given)
    program = session.program
    if isinstance(program, StreamedProgram):
        raise CelosiaError(
            f"model must fit in the NPU's memories in one piece, and {program.name!r} takes "
            f"{len(program.pieces)} on {program.config.name}: --config must name a larger NPU"
        )
    if program.crossbar:
        raise CelosiaError("model must have all layers on the systolic array to be written so")
    samples = session.samples(inputs)
    runs = [program.prepare(batch)[1] for batch in batches(samples, program.batch)]
    lines = list(accesses(program, runs, window=top == "wishbone"))
    write_atomically(output, "".join(lines).encode())
    checked = sum(line[0] == "r" for line in lines)
    if as_json:
        print_json(
            {
                "file": str(output),
                "config": program.config.name,
                "samples": len(samples),
                "accesses": len(lines),
                "words_checked": checked,
            }
        )
        return
    plural = "s" if len(samples) > 1 else ""
    results.print(
        f"{output}: {len(samples)} sample{plural} of {program.name} on {program.config.name}, "
        f"{len(lines):,} accesses, {checked:,} words to compare",
        markup=False,
        soft_wrap=True,
    )
