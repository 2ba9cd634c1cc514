"""`celosia boards`: the boards that there are, and how long an inference takes on them."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from celosia.boards.board import Board
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import errors, name_width, print_json, results

if TYPE_CHECKING:
    from celosia.runtime.board_times import InferenceTime

_TIME_COLUMNS = 52  # what the columns beside a model's name take


def boards(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...", help="Models to time on the boards; `digits` is the embedded one."
        ),
    ] = None,
    builds: Annotated[
        Path,
        typer.Option("--builds", metavar="DIR", help="Where builds are, a folder for each board."),
    ] = Path("build"),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List the boards: device, resources, clocks, and the NPU that fits.

    With models, say how long one inference takes on each board: cycles by the cycle model, at the
    frequency that the board's build reached (celosia build), and beside it what the serial line
    takes at least for data that must cross it. Networks of MLPerf Tiny stand beside the fastest
    published microcontroller-class chip.

    A board of your own is a small TOML file, which every command takes in place of a name.
    """
    from celosia.boards.load import BOARDS, load_board

    known = [load_board(name) for name in BOARDS]
    times: list[InferenceTime] = []
    if models:
        from celosia.runtime.board_times import inference_times

        with errors.status("") as status:
            times = inference_times(
                known, models, builds, lambda text: status.update(escape(f"cycles of {text}"))
            )
    if as_json:
        timed = {"times": [asdict(time) for time in times]} if models else {}
        print_json({"boards": [_record(board) for board in known], **timed})
    elif models:
        _print_times(times)
    else:
        _print_boards(known)


def _print_boards(known: Sequence[Board]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("board", no_wrap=True)
    table.add_column("device", no_wrap=True)
    for heading in ("LUTs", "DSPs", "RAM KiB", "MHz"):
        table.add_column(heading, justify="right")
    table.add_column("NPU, memories in KiB", no_wrap=True)
    for board in known:
        device, npu = board.device, board.config
        table.add_row(
            board.name,
            device.name,
            f"{device.luts:,}",
            f"{device.multipliers}",
            f"{device.memory_bytes // 1024}",
            f"{board.frequency_mhz:g}",
            f"{npu.rows} × {npu.columns}, {npu.scratchpad_kib} + {npu.weight_kib}",
        )
    results.print(table)
    for board in known:
        if board.notes:
            results.print(f"{board.name}: {escape(board.notes)}", soft_wrap=True)


def _print_times(times: "Sequence[InferenceTime]") -> None:
    for _, group in groupby(times, lambda time: time.board):
        rows = list(group)
        results.print(_heading(rows[0]), soft_wrap=True)
        table = Table(box=None, pad_edge=False)
        table.add_column("model", no_wrap=True, max_width=name_width(_TIME_COLUMNS))
        for title in ("cycles", "pieces", "ms", "as built", "line, ms", "GAP9"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(
                escape(row.model),
                *("-" if n is None else f"{n:,}" for n in (row.cycles, row.pieces)),
                *("-" if ms is None else f"{ms:.3f}" for ms in (row.ms, row.ms_as_built)),
                "-" if row.line_ms is None else f"{row.line_ms:,.0f}",
                "-" if row.gap9_ms is None else f"{row.gap9_ms:.3f}",
            )
        results.print(table)
        for row in rows:
            if row.reason is not None:
                results.print(escape(f"{row.model} can't run: {row.reason}"), soft_wrap=True)
        results.print()
    results.print(
        "Milliseconds of computing by the cycle model, at the frequency that was reached, and as "
        "built at the clock of the bitstream. What the serial line takes, frames and answers not "
        "counted, comes on top: inputs and outputs, and between pieces programs and tensors.",
        soft_wrap=True,
    )


def _heading(time: "InferenceTime") -> str:
    what = f"[bold]{escape(time.board)}[/] with {escape(time.config)}: "
    if time.fmax_mhz is None or time.constraint_mhz is None:
        return f"{what}unbuilt (celosia build --board {escape(time.board)})"
    bound = "at most " if time.fmax_is_bound else ""
    missed = ", which it missed" if time.fmax_mhz < time.constraint_mhz else ""
    return f"{what}{bound}{time.fmax_mhz:.1f} MHz, built for {time.constraint_mhz:.4g}{missed}"


def _record(board: Board) -> dict[str, Any]:
    device = board.device
    return {
        "board": board.name,
        "title": board.title,
        "family": str(board.family),
        "device": device.name,
        "package": board.package,
        "speed": board.speed,
        "luts": device.luts,
        "flip_flops": device.flip_flops,
        "multipliers": {device.multiplier: device.multipliers},
        "memory_bytes": device.memory_bytes,
        "clock_mhz": board.clock.mhz,
        "frequency_mhz": board.frequency_mhz,
        "config": board.config.name,
        "rows": board.config.rows,
        "columns": board.config.columns,
        "scratchpad_kib": board.config.scratchpad_kib,
        "weight_kib": board.config.weight_kib,
        "uart": {"baud": board.uart.baud, "bridge": board.uart.bridge},
        "leds": len(board.leds),
        "programmers": [
            {"method": str(entry.method), "tool": entry.tool, "arguments": [*entry.arguments]}
            for entry in board.programmers
        ],
        "notes": board.notes,
    }
