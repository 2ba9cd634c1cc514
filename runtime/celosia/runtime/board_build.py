"""Bitstreams: builds that are run once, and kept."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from celosia.boards.board import Board
from celosia.boards.failures import explain_failure
from celosia.boards.networks import read_networks, write_networks
from celosia.boards.plan import (
    CONFIGURATION,
    DELAYS,
    NETLIST,
    NETWORKS,
    PLACEMENT_LOG,
    REPORT,
    BuildPlan,
    Stage,
    bitstream_name,
    build_tools,
    emit_now,
    plan_npu,
    write_settings,
)
from celosia.boards.progress import FirstRun, PlaceAndRoute, ProgressReader
from celosia.boards.report import BuildReport, read_report
from celosia.boards.tools import Tool, find_tool
from celosia.boards.top import BoardTop
from celosia.golden.config import NpuConfig, config_to_mapping, load_config
from celosia.golden.errors import CelosiaError
from celosia.golden.files import write_atomically
from celosia.sim.cache import cached, content_key
from celosia.sim.design_verilog import design_verilog, emitted_once
from celosia.sim.processes import execute

_LOOK_S = 0.2
_OUTPUT = "output.log"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """A finished build.

    Attributes:
        plan: what was built.
        folder: where all its files are; the cache's, not to be written to.
        report: clocks and resources.
        ran: titles of the stages that ran just now; the others were found in the cache.
    """

    plan: BuildPlan
    folder: Path
    report: BuildReport
    ran: tuple[str, ...]


def npu_plan(
    board: Board, config: NpuConfig, *, seed: int = 1, say: Say = lambda text: None
) -> BuildPlan:
    """The plan of the NPU's bitstream; `say` is told what happens.

    Raises:
        CelosiaError: a tool is missing, the device lacks something, or the plan can't be made.
    """

    for name in build_tools(board):
        find_tool(name)  # before minutes go into what needs them

    def digest() -> bytes:
        return hashlib.sha256(design_verilog(config).encode()).digest()

    def emit(make: Callable[[], BoardTop], module: str) -> str:
        def written() -> str:
            say(f"writing the Verilog of {config.name} for {board.title}")
            return emit_now(make, module)

        what = [module, asdict(board), config_to_mapping(config), version("celosia")]
        return emitted_once(what, written, "celosia.boards", "celosia.golden.link")

    return plan_npu(board, config, digest, seed, emit)


@dataclass(frozen=True)
class Netlist:
    """A finished synthesis.

    Attributes:
        folder: where all its files are, `NETLIST` among them; the cache's, not to be written to.
        key: names what it was made of.
        ran: whether it was made just now; else it was found in the cache.
    """

    folder: Path
    key: str
    ran: bool


def synthesise(plan: BuildPlan, *, say: Say = lambda text: None) -> Netlist:
    """Run a plan's synthesis, or find what it made before from the same files with the same tool.

    Raises:
        CelosiaError: the tool is missing or fails.
    """
    stage = plan.stages[0]
    tool = find_tool(stage.tool)

    def fill(folder: Path) -> None:
        for name, text in plan.files.items():
            (folder / name).write_text(text)
        _run(stage, tool, folder, say)
        if plan.settings:
            write_settings(folder / NETLIST, plan.settings)

    key = content_key([plan.files, dict(plan.settings), _identity(stage, tool)])
    folder, ran = cached("board-netlist", key, fill)
    return Netlist(folder, key, ran)


def build(plan: BuildPlan, *, say: Say = lambda text: None) -> Built:
    """Run a plan's stages, or find what they made before from the same files with the same tools.

    Raises:
        CelosiaError: a tool is missing or fails.
    """
    synthesis, *stages = plan.stages
    rest = [(stage, find_tool(stage.tool)) for stage in stages]
    netlist = synthesise(plan, say=say)
    ran = [synthesis.title] if netlist.ran else []

    def finish(folder: Path) -> None:
        shutil.copytree(netlist.folder, folder, dirs_exist_ok=True)
        for stage, tool in rest:
            _run(stage, tool, folder, say)
            ran.append(stage.title)
        if (folder / DELAYS).exists():
            write_networks(folder / DELAYS, folder / NETWORKS)
        for name in chain.from_iterable(stage.passing for stage in plan.stages):
            (folder / name).unlink()
        _report(plan, folder)  # raises where a constraint was ignored: nothing is kept then

    key = content_key([netlist.key, [_identity(*entry) for entry in rest]])
    folder, _ = cached("board-bitstream", key, finish)
    return Built(plan, folder, _report(plan, folder), tuple(ran))


def build_npu(
    board: Board, config: NpuConfig, *, seed: int = 1, say: Say = lambda text: None
) -> Built:
    """Build the NPU's bitstream; `say` is told what happens.

    Raises:
        CelosiaError: as `npu_plan` and `build`.
    """
    return build(npu_plan(board, config, seed=seed, say=say), say=say)


def output_folder(board: Board) -> Path:
    """Where a board's files go when nobody says."""
    return Path("build") / board.name


def hand_over(built: Built, output: Path) -> list[Path]:
    """Copy a build's files into a folder, each whole or not at all; the bitstream comes last.

    Raises:
        CelosiaError: the folder can't be made or written to.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CelosiaError(f"can't make folder {str(output)!r}: {error.strerror}") from error
    names = sorted(
        (file.name for file in built.folder.iterdir()),
        key=lambda name: name == built.plan.bitstream,
    )
    for name in names:
        write_atomically(output / name, (built.folder / name).read_bytes())
    return [output / name for name in names]


@dataclass(frozen=True)
class KeptBuild:
    """What a folder of `hand_over` tells of an NPU's build."""

    config: NpuConfig
    report: BuildReport


def kept_build(board: Board, folder: Path) -> KeptBuild | None:
    """The board's build that was handed over to a folder; None where there is none.

    Raises:
        CelosiaError: its files can't be read, or aren't of one build.
    """
    if not (folder / bitstream_name(board)).is_file():  # it comes last
        return None
    try:
        log = (folder / PLACEMENT_LOG).read_text(encoding="utf-8", errors="replace")
        report = read_report(folder / REPORT, log, None, read_networks(folder / NETWORKS))
        return KeptBuild(load_config(folder / CONFIGURATION), report)
    except OSError as error:
        raise CelosiaError(f"build {str(folder)!r}: {PLACEMENT_LOG}: {error.strerror}") from error
    except CelosiaError as error:
        raise CelosiaError(f"build {str(folder)!r}: {error}") from error


def _identity(stage: Stage, tool: Tool) -> list[Any]:
    return [asdict(stage), tool.version]


def _run(stage: Stage, tool: Tool, folder: Path, say: Say) -> None:
    say(f"{stage.title}: {Path(tool.path).name} ({tool.version})")
    log = folder / _OUTPUT
    readers: dict[Path, ProgressReader] = {}
    if PLACEMENT_LOG in stage.products:
        readers[folder / PLACEMENT_LOG] = PlaceAndRoute()
    if tool.yowasp:
        readers[log] = FirstRun(Path(tool.path).name)
    with _watched(readers, say):
        status = execute([tool.path, *stage.arguments], folder, os.environ, log)
    printed = log.read_text(errors="replace")
    log.unlink()
    if status == 0 and all((folder / name).exists() for name in stage.products):
        return
    logs = [folder / name for name in stage.products if name.endswith(".log")]
    written = "".join(log.read_text(errors="replace") for log in logs if log.exists())
    raise CelosiaError(explain_failure(stage.tool, status or 0, written + printed))


def _report(plan: BuildPlan, folder: Path) -> BuildReport:
    log = (folder / PLACEMENT_LOG).read_text(errors="replace")
    return read_report(folder / REPORT, log, plan.clocks, read_networks(folder / NETWORKS))


@contextmanager
def _watched(readers: Mapping[Path, ProgressReader], say: Say) -> Iterator[None]:
    """Tell how far a tool is, from the logs that it writes."""
    ended = threading.Event()

    def look() -> None:
        logs = [(read, _additions(path)) for path, read in readers.items()]
        last = False
        while not last:
            last = ended.wait(_LOOK_S)
            for read, additions in logs:
                for sentence in read(next(additions)):
                    say(sentence)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _additions(log: Path) -> Iterator[str]:
    """Each time what a log has got since the time before, nothing as long as there is none."""
    while not log.exists():
        yield ""
    with log.open(errors="replace") as text:
        while True:
            yield text.read()
