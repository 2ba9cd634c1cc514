"""Options that every command takes."""

import logging
from typing import Annotated, Any

import typer
from rich.logging import RichHandler

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.output import errors


def _log(verbose: bool) -> None:
    if verbose:
        logger = logging.getLogger("celosia")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(RichHandler(console=errors, show_path=False))


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        callback=_log,
        is_eager=True,
        help="Say more, on standard error.",
    ),
]
CONFIG_HELP = "Preset npu4x4, npu8x8 or npu16x16, or a TOML file."
Config = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="NAME|FILE.toml",
        help=CONFIG_HELP,
    ),
]
DEFAULT_CONFIG = "npu8x8"
ConfigOrProgram = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="NAME|FILE.toml",
        help=f"{CONFIG_HELP}  [default: {DEFAULT_CONFIG}]",
        show_default=False,
    ),
]
"""For commands that take programs too, which bring their own."""
BATCH_HELP = "Inferences that one run of the program makes."
Batch = Annotated[int, typer.Option("--batch", metavar="N", help=BATCH_HELP)]
Overlap = Annotated[
    bool,
    typer.Option(
        "--overlap",
        help="Let the host write the next inputs and read the last outputs while the NPU computes.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="systolic|crossbar",
        help="Where convolutions and matrix products are computed.",
    ),
]
Place = Annotated[
    list[str] | None,
    typer.Option(
        "--place",
        metavar="LAYER=ENGINE",
        help="An exception for one layer, by a part of its name that no other has (may be "
        "repeated).",
        show_default=False,
    ),
]
Cells = Annotated[
    str | None,
    typer.Option(
        "--crossbar",
        metavar="NAME|FILE.toml",
        help="What the crossbar's cells are made of: a device preset, or a TOML file.  "
        "[default: what the configuration's emulator stands for, or ideal]",
        show_default=False,
    ),
]
Mapping = Annotated[
    str | None,
    typer.Option(
        "--mapping",
        metavar="differential|offset",
        help="How the crossbar's columns stand for weights: a pair for each slice, or one and a "
        "reference that all share.  [default: differential]",
        show_default=False,
    ),
]
Rounding = Annotated[
    str | None,
    typer.Option(
        "--rounding",
        metavar="PROFILE",
        help="Rounding profile: tflm, litert, single or float32.  "
        "[default: tflm for .tflite, float32 for .onnx]",
        show_default=False,
    ),
]


def check_left_out(model: str, is_program: bool, given: dict[str, Any]) -> None:
    """Refuse options, by their names, that a program has its own of.

    Raises:
        CelosiaError: the model is a program, and one of them was given.
    """
    if is_program and any(given.values()):
        *most, last = given
        raise CelosiaError(
            f"{', '.join(most)} and {last} must be left out for {model!r}: a program brings its own"
        )
