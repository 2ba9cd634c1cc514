"""`celosia build`: a board's bitstream."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from celosia.runtime.cli.options import CONFIG_HELP, Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results

if TYPE_CHECKING:
    from celosia.runtime.board_build import Built


def build(
    board: Annotated[
        str,
        typer.Option(
            "--board", metavar="NAME|FILE.toml", help="Board, as `celosia boards` lists them."
        ),
    ],
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="NAME|FILE.toml",
            help=f"{CONFIG_HELP}  [default: the board's]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder to write.  [default: build/BOARD]"
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Where the placer starts from.")
    ] = 1,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build the bitstream of an NPU on a board.

    Synthesis, place and route, packing: with native tools where they are on PATH, else with those
    of pip install 'celosia[boards]'. What was built before from the same sources with the same
    tools is not built again. The exit status is 1 when a clock is too slow; bitstream and report
    are written all the same.
    """
    from celosia.boards.load import load_board
    from celosia.golden.config import load_config
    from celosia.runtime.board_build import build_npu, hand_over, output_folder

    known = load_board(board)
    npu = known.config if config is None else load_config(config)
    begin = time.monotonic()
    with errors.status("") as status:

        def say(text: str) -> None:
            status.update(escape(text))
            errors.print(f"{time.monotonic() - begin:6.0f} s  {escape(text)}", soft_wrap=True)

        built = build_npu(known, npu, seed=seed, say=say)
        folder = output or output_folder(known)
        hand_over(built, folder)
    if as_json:
        print_json(_record(built, npu.name, folder))
    else:
        _print(built, folder)
    if not built.report.met:
        raise typer.Exit(1)


def _record(built: "Built", config: str, folder: Path) -> dict[str, Any]:
    plan = built.plan
    return {
        "board": plan.board.name,
        "config": config,
        "device": plan.board.device.name,
        "bitstream": str(folder / plan.bitstream),
        **built.report.to_json(),
        "cached": not built.ran,
    }


def _print(built: "Built", folder: Path) -> None:
    from celosia.runtime.cli.build_report import print_report

    print_report(built.report)
    results.print()
    results.print(str(folder / built.plan.bitstream), markup=False, soft_wrap=True)
    if not built.report.met:
        errors.print(
            "[bold red]timing missed:[/] lower frequency_mhz in a file of your own for the board, "
            "or try another --seed",
            soft_wrap=True,
        )
