"""`celosia flash`: a bitstream onto a board."""

import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results

if TYPE_CHECKING:
    from celosia.boards.board import Board

_logger = logging.getLogger(__name__)


def flash(
    board: Annotated[
        str,
        typer.Option(
            "--board", metavar="NAME|FILE.toml", help="Board, as `celosia boards` lists them."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="F", help="Bitstream.  [default: what celosia build wrote for it]"
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="sram|flash",
            help="Until the power goes, or for good.  [default: sram where the board can]",
        ),
    ] = None,
    udev: Annotated[
        bool,
        typer.Option(
            "--udev", help="Load nothing; print the udev rules that let you open the board's USB."
        ),
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Load a bitstream onto a board with the board's own programmer.

    The command line that runs is shown. The exit status is 1 when the programmer fails, as it does
    when no board is connected; then its own error and what helps end the output.
    """
    from celosia.boards.flash import load_bitstream
    from celosia.boards.load import load_board
    from celosia.boards.programmers import choose_loader, choose_method
    from celosia.boards.usb import rules_file, udev_rules

    known = load_board(board)
    if udev:
        if not known.usb:
            raise CelosiaError(
                f"{known.name} must have usb = [...] in its description for rules to be written"
            )
        if as_json:
            print_json({"board": known.name, "file": rules_file(known), "rules": udev_rules(known)})
        else:
            print(udev_rules(known), end="")
            errors.print(
                f"to install: celosia flash --board {shlex.quote(board)} --udev | sudo tee "
                f"/etc/udev/rules.d/{rules_file(known)}; sudo udevadm control --reload; then plug "
                "the board in again",
                markup=False,
                soft_wrap=True,
            )
        return
    method = choose_method(known, target)
    bitstream = _bitstream(known, file)
    loader = choose_loader(known, method)
    command = loader.command(bitstream)
    errors.print(shlex.join(command), markup=False, soft_wrap=True)
    with errors.status(f"loading {escape(known.title)}"):
        outcome = load_bitstream(known, loader, bitstream)
    if outcome.ok:
        _logger.debug("%s says:\n%s", loader.programmer.tool, outcome.output.rstrip())
    else:
        errors.print(outcome.output.rstrip(), style="dim", markup=False, soft_wrap=True)
    if as_json:
        print_json(
            {
                "board": known.name,
                "target": method,
                "bitstream": str(bitstream),
                "programmer": loader.programmer.tool,
                "command": command,
                "status": outcome.status,
                "ok": outcome.ok,
                "failure": outcome.failure,
            }
        )
    if outcome.failure is not None:
        errors.print(f"[bold red]error:[/] {escape(outcome.failure)}", soft_wrap=True)
        raise typer.Exit(1)
    if not as_json:
        where = "flash memory" if method == "flash" else "SRAM, until its power goes"
        results.print(f"{known.title} loaded: {where}", markup=False, soft_wrap=True)


def _bitstream(board: "Board", file: Path | None) -> Path:
    from celosia.boards.plan import bitstream_name
    from celosia.runtime.board_build import output_folder

    built = output_folder(board) / bitstream_name(board)
    if file is None and not built.is_file():
        raise CelosiaError(
            f"{built} must be there to be loaded: celosia build --board {board.name} writes it; "
            "or name a bitstream with --file"
        )
    path = file or built
    if not path.is_file() or not path.stat().st_size:
        raise CelosiaError(f"--file must name a bitstream, not {str(path)!r}")
    return path
