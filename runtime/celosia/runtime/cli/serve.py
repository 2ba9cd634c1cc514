"""`celosia serve`: a virtual board."""

from typing import Annotated

import typer

from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results


def serve(
    config: Config = "npu8x8",
    bulk: Annotated[
        bool,
        typer.Option("--bulk", help="Leave the UART's wires out: a byte takes a clock cycle."),
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Serve the RTL of a board, UART and all, behind a pseudo-terminal.

    Drivers take it for a board: celosia run MODEL --device board --port PORT, with the port that
    this command prints. It runs until it is interrupted.
    """
    from celosia.golden.config import load_config
    from celosia.sim.virtual_board import VirtualBoard

    npu = load_config(config)
    with errors.status("building the simulation"):
        board = VirtualBoard(npu, bulk=bulk)

    def opened(port: str) -> None:
        if as_json:
            print_json({"port": port, "config": npu.name, "bulk": bulk})
        else:
            results.print(
                f"serving {npu.name} at {port}; ctrl-C ends it", markup=False, soft_wrap=True
            )

    board.serve(opened)
