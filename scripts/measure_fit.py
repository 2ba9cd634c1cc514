"""Measure what the NPU on a board takes of its FPGA, how fast it is there, and what limits it.

    python scripts/measure_fit.py icepi-zero                    the board's own NPU, three seeds
    python scripts/measure_fit.py ulx3s-85f --config npu4x4     another one, a preset or a TOML file
    python scripts/measure_fit.py ulx3s-85f --seeds 7           one seed
    python scripts/measure_fit.py ulx3s-85f --area              cells by module, without placing

The builds are those of `celosia build`, and kept as those are; the frequencies are nextpnr's
estimates of its own result.
"""

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from celosia.boards.board import Board
from celosia.boards.load import load_board
from celosia.boards.paths import module_and_signal
from celosia.boards.plan import MODULE, NETLIST
from celosia.golden.config import NpuConfig, load_config
from celosia.golden.errors import CelosiaError
from celosia.runtime.board_build import build_npu, npu_plan, synthesise

MODULE_LEVELS = 5
LEAST_LUTS = 50
"""Modules of fewer aren't shown."""
CELLS = {
    "LUT": {"LUT4": 1, "SB_LUT4": 1, "LUT1": 1, "LUT2": 1, "LUT3": 1, "CCU2C": 2, "ALU": 1},
    "LUT RAM": {"TRELLIS_DPR16X4": 1, "RAM16SDP4": 1},
    "FF": {"TRELLIS_FF": 1, "SB_DFF": 1, "DFF": 1},
    "BRAM": {"DP16KD": 1, "SB_RAM40_4K": 1, "SDPB": 1, "SDPX9B": 1, "DPB": 1, "DPX9B": 1},
    "DSP": {"MULT18X18D": 1, "SB_MAC16": 1, "MULT9X9": 1, "MULT18X18": 1, "MULT36X36": 1},
}
"""What Yosys' cells take, by kind; flip-flops by the beginning of their names."""
RESOURCES = {
    "LUT": ("TRELLIS_COMB", "ICESTORM_LC", "LUT4"),
    "FF": ("TRELLIS_FF", "DFF"),
    "DSP": ("MULT18X18D", "ICESTORM_DSP", "MULT9X9", "MULT18X18", "MULT36X36"),
    "RAM": ("DP16KD", "ICESTORM_RAM", "ICESTORM_SPRAM", "BSRAM"),
}
"""Columns of the table, by nextpnr's names."""


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def area(netlist: Path) -> Iterator[str]:
    """Cells of each module with all that it holds, by the names that synthesis has kept."""
    found: dict[str, Counter[str]] = {}
    cells = json.loads(netlist.read_text())["modules"][MODULE]["cells"]
    for name, cell in cells.items():
        begun = cell["type"].rstrip("ERSCPN") if "DFF" in cell["type"] else cell["type"]
        for kind, taken in CELLS.items():
            if begun in taken:
                path = module_and_signal(name)[0].split("/")
                for level in range(min(MODULE_LEVELS, len(path)) + 1):
                    found.setdefault("/".join(path[:level]), Counter())[kind] += taken[begun]
    yield "| module | " + " | ".join(CELLS) + " |"
    yield "|---|" + "--:|" * len(CELLS)
    for module, counts in sorted(found.items()):
        if counts["LUT"] >= LEAST_LUTS:
            yield f"| {module or 'all'} | " + " | ".join(f"{counts[k]:,}" for k in CELLS) + " |"


def speed(board: Board, config: NpuConfig, seeds: list[int]) -> Iterator[str]:
    """What each seed comes to, and a row of a table."""
    frequencies = []
    for seed in seeds:
        report = build_npu(board, config, seed=seed, say=say).report
        frequencies.append(report.npu_clock.fmax_mhz)
        path = max(report.critical_paths, key=lambda path: path.ns)
        parts = ", ".join(f"{part.module} {part.ns:.1f}" for part in path.parts)
        yield (
            f"seed {seed}: {frequencies[-1]:.1f} MHz; {path.logic_ns:.1f} ns of logic, "
            f"{path.routing_ns:.1f} ns of routing from {path.start} to {path.end} ({parts})"
        )
    used = report.utilisation
    columns = [
        " + ".join(f"{used[n].used:,} of {used[n].available:,}" for n in names if n in used)
        for names in RESOURCES.values()
    ]
    median, best = statistics.median(frequencies), max(frequencies)
    bound = "at most " if report.untimed else ""
    yield f"| board | NPU | {' | '.join(RESOURCES)} | median MHz | best MHz |"
    yield "|---|---|" + "--:|" * (len(RESOURCES) + 2)
    row = (*columns, f"{bound}{median:.1f}", f"{bound}{best:.1f}")
    yield f"| `{board.name}` | `{config.name}` | {' | '.join(row)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("board", help="as `celosia boards` lists them, or a TOML file")
    parser.add_argument("--config", help="a preset, or a TOML file (default: the board's)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--area", action="store_true", help="cells by module instead")
    arguments = parser.parse_args()
    try:
        board = load_board(arguments.board)
        config = board.config if arguments.config is None else load_config(arguments.config)
        if arguments.area:
            netlist = synthesise(npu_plan(board, config, say=say), say=say)
            lines = area(netlist.folder / NETLIST)
        else:
            lines = speed(board, config, arguments.seeds)
        for line in lines:
            print(line, flush=True)
    except CelosiaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
