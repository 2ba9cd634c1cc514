"""What a build does: the files that it starts from, and the commands, in order."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from celosia.boards.board import Board
from celosia.boards.constraints import constrained_clocks, constraint_files
from celosia.boards.devices import Device
from celosia.boards.npu_core import NpuCore
from celosia.boards.pll import pll_settings
from celosia.boards.top import BoardTop, Core
from celosia.golden.config import NpuConfig, config_to_toml
from celosia.golden.errors import CelosiaError
from celosia.hdl.emit import emit_verilog
from celosia.hdl.family import Family, synthesis_commands, synthesis_files
from celosia.hdl.npu.double_pumped_storage import MemoryPlan, large_rams
from celosia.hdl.npu.multipliers import MultiplierPlan
from celosia.hdl.npu.requantizer import Requantizer

__all__ = [
    "CONFIGURATION",
    "DELAYS",
    "MODULE",
    "NETLIST",
    "NETWORKS",
    "PLACEMENT_LOG",
    "REPORT",
    "BuildPlan",
    "Stage",
    "bitstream_name",
    "build_tools",
    "memory_plan",
    "multiplier_plan",
    "plan_build",
    "plan_npu",
    "write_settings",
]

MODULE = "celosia_board"
NETLIST = "netlist.json"
REPORT = "report.json"
DELAYS = "delays.sdf"
"""Every wire's delay, on an ECP5; a build picks `NETWORKS` out of it."""
NETWORKS = "networks.json"
CONFIGURATION = "npu.toml"
SYNTHESIS_LOG = "synthesis.log"
PLACEMENT_LOG = "placement.log"


@dataclass(frozen=True)
class Stage:
    """One command. All its files are in the folder that it runs in.

    Attributes:
        title: what it does, for people.
        tool: what it is called (`celosia.boards.tools` finds it).
        arguments: of the command line.
        products: files that it makes.
        passing: those of them that only the build itself wants.
    """

    title: str
    tool: str
    arguments: tuple[str, ...]
    products: tuple[str, ...]
    passing: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildPlan:
    """A build; the same board, core and seed always give the same one.

    Attributes:
        board: the board.
        clocks: the clocks that drive registers, and the MHz that they must reach.
        files: contents of the files that the commands start from, by name.
        stages: the commands: synthesis, place and route, packing.
        settings: nextpnr's that have no option; a netlist brings them along (`write_settings`).
        bitstream: the product that a programmer takes.
    """

    board: Board
    clocks: Mapping[str, float]
    files: Mapping[str, str]
    stages: tuple[Stage, ...]
    bitstream: str
    settings: Mapping[str, str]


Emit = Callable[[Callable[[], BoardTop], str], str]
"""Verilog of a top that is made when it is needed, under a module's name."""


def emit_now(make: Callable[[], BoardTop], module: str) -> str:
    """Make the top and emit it."""
    return emit_verilog(make(), module)


def plan_npu(
    board: Board,
    config: NpuConfig,
    digest: Callable[[], bytes],
    seed: int = 1,
    emit: Emit = emit_now,
) -> BuildPlan:
    """The plan of the NPU on a board, which will call itself a build of this digest.

    Raises:
        CelosiaError: its memories are larger than the device's, no PLL setting fits, or the seed
            isn't a positive integer.
    """
    multipliers, memories = multiplier_plan(board, config), memory_plan(board.device, config)
    plan = plan_build(
        board,
        lambda: NpuCore(config, digest(), multipliers, memories),
        seed,
        emit,
        memories.doubles_clock,
    )
    return replace(plan, files={**plan.files, CONFIGURATION: config_to_toml(config)})


def memory_plan(device: Device, config: NpuConfig) -> MemoryPlan:
    """The memories that stand in a device's large RAMs: those that fit, the larger one first.

    Raises:
        CelosiaError: what is left is more than its block RAMs hold.
    """
    kib = {"scratchpad": config.scratchpad_kib, "weights": config.weight_kib}
    rams = {
        "scratchpad": large_rams(config.scratchpad_depth, config.rows),
        "weights": large_rams(config.weight_depth, config.columns),
    }
    left = device.large_rams
    large = []
    for name in sorted(kib, key=lambda name: -kib[name]):
        taken = rams[name]
        if taken is not None and taken <= left:
            left -= taken
            large.append(name)
    wanted = sum(size for name, size in kib.items() if name not in large)
    have = device.block_rams * device.block_ram_bytes // 1024
    if wanted > have:
        beside = f" beside its {device.large_rams} large RAMs" if device.large_rams else ""
        raise CelosiaError(
            f"memories of {config.name} must fit into the {have} KiB of block RAM of an "
            f"{device.name}{beside}, not take {wanted} KiB: give a smaller scratchpad_kib and "
            "weight_kib"
        )
    return MemoryPlan(**dict.fromkeys(large, True))


def multiplier_plan(board: Board, config: NpuConfig) -> MultiplierPlan:
    """The multipliers of the array and the depthwise engine: as many primitives as POST's
    multiplications leave."""
    device = board.device
    primitives = device.multipliers * _PRODUCTS[device.family]
    taken = config.requantizer_lanes * _lane_primitives(device.family, config)
    return MultiplierPlan(family=device.family, primitives=max(0, primitives - taken))


def _lane_primitives(family: Family, config: NpuConfig) -> int:
    """What a lane of POST takes: on an ECP5 the `PieceMultiplier` of its requantiser and of its
    product of operands, on a Gowin what Yosys 0.70 makes, on an iCE40, without `-dsp`, none."""
    if family is not Family.ECP5:
        return {Family.ICE40: 0, Family.GOWIN: 9}[family]
    serial = config.requantizer_cycles > 1
    scaling = 0 if serial else Requantizer.lane_products(config.modes)
    return scaling + int(config.vector_operations)


def plan_build(
    board: Board,
    core: Callable[[], Core],
    seed: int = 1,
    emit: Emit = emit_now,
    doubled: bool = False,
) -> BuildPlan:
    """The plan of any core on a board; the core is made once all is known to be well.

    A `doubled` clock comes with the domain `double` of twice its frequency, on boards with an
    iCE40.

    Raises:
        CelosiaError: no PLL setting fits, or the seed isn't a positive integer.
    """
    if type(seed) is not int or not 0 < seed < 2**31:
        raise CelosiaError(f"seed must be an integer from 1 to 2147483647, not {seed!r}")
    pll = pll_settings(board, doubled)
    constraints = constraint_files(board, pll)
    options, route, pack, bitstream = _COMMANDS[board.family](board, seed)
    synthesis = synthesis_commands(board.family, MODULE, options, mhz=board.frequency_mhz)
    files = {
        f"{MODULE}.v": emit(lambda: BoardTop(board, pll, core()), MODULE),
        "synthesis.ys": "".join(
            f"{line}\n"
            for line in (f"read_verilog {MODULE}.v", *synthesis, f"write_json {NETLIST}")
        ),
        **synthesis_files(board.family),
        **constraints,
    }
    first = Stage(
        "synthesis",
        "yosys",
        ("-q", "-l", SYNTHESIS_LOG, "synthesis.ys"),
        (NETLIST, SYNTHESIS_LOG),
        (NETLIST,),
    )
    return BuildPlan(
        board,
        constrained_clocks(board, pll),
        files,
        (first, route, pack),
        bitstream,
        _SETTINGS.get(board.family, {}),
    )


def write_settings(netlist: Path, settings: Mapping[str, str]) -> None:
    """Put nextpnr's settings into a netlist that Yosys wrote."""
    text = netlist.read_text()
    begin = f'"{MODULE}": {{'
    netlist.write_text(text.replace(begin, f'{begin} "settings": {json.dumps(settings)},', 1))


def build_tools(board: Board) -> tuple[str, ...]:
    """What a build of the board runs, in order, by the names of `celosia.boards.tools`."""
    _, route, pack, _ = _COMMANDS[board.family](board, 1)
    return ("yosys", route.tool, pack.tool)


_SUFFIXES = {Family.ECP5: ".bit", Family.ICE40: ".bin", Family.GOWIN: ".fs"}


def bitstream_name(board: Board) -> str:
    """Name of the file that a build of the board ends in, as programmers know its kind."""
    return f"{board.name}{_SUFFIXES[board.family]}"


_PRODUCTS = {Family.ECP5: 1, Family.ICE40: 1, Family.GOWIN: 2}
"""Primitives of `MultiplierPlan` in one of `Device.multipliers`: a MULT18X18 is two MULT9X9."""
_SETTINGS = {Family.ECP5: {"placer1/minBelsForGridPick": "256"}}
"""Cells of a kind that the FPGA has fewer of than so many (by default 64) may change places across
the whole chip as placing is refined, others only with their neighbours: block RAMs and multipliers
of an ECP5-45F, 25 places apart, would stay where they were first put."""

Commands = tuple[str, Stage, Stage, str]
"""Options of the synthesis, place and route, packing, and the bitstream's name."""


def _place_and_route(
    tool: str, product: str, seed: int, *arguments: str, details: tuple[str, ...] = ()
) -> Stage:
    # A clock that is too slow isn't the tool's failure: the report says so, and the caller.
    common = ("--json", NETLIST, "--report", REPORT, "--seed", str(seed), "--timing-allow-fail")
    return Stage(
        "place and route",
        tool,
        ("-q", "--log", PLACEMENT_LOG, *common, *arguments),
        (product, REPORT, PLACEMENT_LOG, *details),
        (product, *details),
    )


def _pack(tool: str, bitstream: str, *arguments: str) -> Stage:
    return Stage("packing", tool, arguments, (bitstream,))


def _ecp5(board: Board, seed: int) -> Commands:
    route = _place_and_route(
        "nextpnr-ecp5",
        "board.config",
        seed,
        *(f"--{board.device.nextpnr}", "--package", board.device.packages[board.package]),
        *("--speed", board.speed, "--lpf", "board.lpf", "--textcfg", "board.config"),
        *("--sdf", DELAYS),
        details=(DELAYS,),
    )
    bitstream = bitstream_name(board)
    pack = _pack("ecppack", bitstream, "--compress", "board.config", bitstream)
    return "", route, pack, bitstream


def _ice40(board: Board, seed: int) -> Commands:
    route = _place_and_route(
        "nextpnr-ice40",
        "board.asc",
        seed,
        *(f"--{board.device.nextpnr}", "--package", board.device.packages[board.package]),
        *("--pcf", "board.pcf", "--asc", "board.asc"),
    )
    bitstream = bitstream_name(board)
    # No -dsp: it miscompiles multiply-accumulates whose registers have no reset.
    return (
        "-device u",
        route,
        _pack("icepack", bitstream, "board.asc", bitstream),
        bitstream,
    )


def _gowin(board: Board, seed: int) -> Commands:
    device = board.device
    route = _place_and_route(
        "nextpnr-himbaechel-gowin",
        "board.pnr.json",
        seed,
        *("--device", device.packages[board.package] + board.speed),
        *("--vopt", f"family={device.nextpnr}", "--vopt", "cst=board.cst", "--sdc", "board.sdc"),
        *("--write", "board.pnr.json"),
    )
    bitstream = bitstream_name(board)
    pack = _pack("gowin_pack", bitstream, "-d", device.nextpnr, "-o", bitstream, "board.pnr.json")
    series = "gw1n" if device.nextpnr.startswith("GW1N") else "gw2a"
    return f"-family {series}", route, pack, bitstream


_COMMANDS: Mapping[Family, Callable[[Board, int], Commands]] = {
    Family.ECP5: _ecp5,
    Family.ICE40: _ice40,
    Family.GOWIN: _gowin,
}
