"""`celosia boards`: the boards that there are."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from celosia.boards.board import Board
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import print_json, results


def boards(as_json: Json = False, verbose: Verbose = False) -> None:
    """List the boards: device, resources, clocks, and the NPU that fits.

    A board of your own is a small TOML file, which every command takes in place of a name.
    """
    from celosia.boards.load import BOARDS, load_board

    known = [load_board(name) for name in BOARDS]
    if as_json:
        print_json({"boards": [_record(board) for board in known]})
        return
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
