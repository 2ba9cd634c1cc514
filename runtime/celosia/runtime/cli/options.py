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
