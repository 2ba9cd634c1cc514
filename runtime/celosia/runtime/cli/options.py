"""Options that every command takes."""

import logging
from typing import Annotated

import typer
from rich.logging import RichHandler

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
        help="An exception for one layer (may be repeated).",
        show_default=False,
    ),
]
IDEAL_CELLS = "ideal"
Cells = Annotated[
    str | None,
    typer.Option(
        "--crossbar",
        metavar="NAME|FILE.toml",
        help="What the crossbar's cells are made of: a device preset, or a TOML file.  "
        f"[default: {IDEAL_CELLS}]",
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
ROUNDING_HELP = (
    "Rounding profile: tflm, litert, single or float32.  "
    "[default: tflm for .tflite, float32 for .onnx]"
)
Rounding = Annotated[
    str | None,
    typer.Option(
        "--rounding",
        metavar="PROFILE",
        help=ROUNDING_HELP,
        show_default=False,
    ),
]
