"""How long an inference takes on a board: modelled cycles by the clock that a build reached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from celosia.boards.board import Board
from celosia.compiler.streaming import StreamedProgram, compile_network
from celosia.golden.config import NpuConfig
from celosia.golden.errors import DoesNotFit, LeftOut
from celosia.golden.graph import Graph
from celosia.golden.memory_map import Counter
from celosia.runtime.board_build import KeptBuild, kept_build
from celosia.runtime.references import published_ms
from celosia.runtime.session import open_model
from celosia.runtime.traffic import host_bytes

_BITS_PER_BYTE = 10
"""On the serial line, start and stop bit included."""


@dataclass(frozen=True)
class NetworkCost:
    """What one inference takes.

    Attributes:
        cycles: of the NPU, by the cycle model; of all pieces, if the network is cut.
        pieces: start commands.
        line_bytes: that cross the line, without the link's frames: inputs and outputs, and between
            pieces also programs with their weights, and tensors.
    """

    cycles: int
    pieces: int
    line_bytes: int


@dataclass(frozen=True)
class InferenceTime:
    """One network on one board.

    Attributes:
        board, config, model: their names; the configuration is the kept build's, or else the
            board's own.
        fmax_mhz, constraint_mhz: what the kept build reached, and was asked for; None without one.
        fmax_is_bound: nextpnr doesn't know the multipliers' delay: it is at most `fmax_mhz`.
        cycles, pieces: as in `NetworkCost`; None where the network can't run.
        ms: computing, at `fmax_mhz`.
        ms_as_built: the same at `constraint_mhz`, the bitstream's clock; None if it was missed.
        line_ms: the least that the board's serial line takes for `NetworkCost.line_bytes`.
        gap9_ms: what GAP9 published for this very network, if it did.
        reason: why it can't run, or None.
    """

    board: str
    config: str
    model: str
    fmax_mhz: float | None
    constraint_mhz: float | None
    fmax_is_bound: bool
    cycles: int | None
    pieces: int | None
    ms: float | None
    ms_as_built: float | None
    line_ms: float | None
    gap9_ms: float | None
    reason: str | None


def inference_times(
    boards: Sequence[Board],
    models: Sequence[str],
    builds: Path,
    say: Callable[[str], None] = lambda text: None,
) -> list[InferenceTime]:
    """Every model on every board; `builds` holds what `celosia build` wrote, a folder each.

    Raises:
        CelosiaError: a model or a build can't be read.
    """
    opened = [open_model(model) for model in models]
    kept = [kept_build(board, builds / board.name) for board in boards]
    costs: dict[tuple[NpuConfig, str], NetworkCost | str] = {}
    times = []
    for board, build in zip(boards, kept, strict=True):
        config = board.config if build is None else build.config
        for graph, content in opened:
            # Boards share configurations that differ in their names only.
            key = (replace(config, name="any"), graph.name)
            if key not in costs:
                say(f"{graph.name} on {config.name}")
                costs[key] = _cost(graph, config)
            times.append(_time(board, config, build, graph.name, costs[key], published_ms(content)))
    return times


def network_cost(graph: Graph, config: NpuConfig) -> NetworkCost:
    """What one inference takes on that configuration.

    Raises:
        DoesNotFit, LeftOut: it can't run, not even in pieces.
    """
    program = compile_network(graph, config)
    moved = host_bytes(program)
    line_bytes = moved.inputs + moved.outputs
    if not isinstance(program, StreamedProgram):
        return NetworkCost(program.modelled.counters[Counter.CYCLES], 1, line_bytes)
    parts = [program.programs[piece.program] for piece in program.pieces]
    cycles = sum(part.modelled.counters[Counter.CYCLES] for part in parts)
    return NetworkCost(cycles, len(parts), moved.weights + line_bytes)


def _cost(graph: Graph, config: NpuConfig) -> NetworkCost | str:
    try:
        return network_cost(graph, config)
    except (DoesNotFit, LeftOut) as error:
        return str(error)


def _time(
    board: Board,
    config: NpuConfig,
    build: KeptBuild | None,
    model: str,
    cost: NetworkCost | str,
    gap9_ms: float | None,
) -> InferenceTime:
    clock = None if build is None else build.report.npu_clock
    cycles = None if isinstance(cost, str) else cost.cycles
    return InferenceTime(
        board=board.name,
        config=config.name,
        model=model,
        fmax_mhz=None if clock is None else clock.fmax_mhz,
        constraint_mhz=None if clock is None else clock.constraint_mhz,
        fmax_is_bound=build is not None and bool(build.report.untimed),
        cycles=cycles,
        pieces=None if isinstance(cost, str) else cost.pieces,
        ms=None if clock is None else _ms(cycles, clock.fmax_mhz),
        ms_as_built=(
            _ms(cycles, clock.constraint_mhz) if clock is not None and clock.met else None
        ),
        line_ms=(
            None
            if isinstance(cost, str)
            else _ms(cost.line_bytes * _BITS_PER_BYTE, board.uart.baud / 1e6)
        ),
        gap9_ms=gap9_ms,
        reason=cost if isinstance(cost, str) else None,
    )


def _ms(cycles: int | None, mhz: float) -> float | None:
    return None if cycles is None else round(cycles / (1000 * mhz), 4)
