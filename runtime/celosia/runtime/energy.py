"""Energy and time of an inference by layer and engine, beside published processors."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from celosia.compiler.assembler import disassemble
from celosia.compiler.program import Program
from celosia.compiler.streaming import StreamedProgram
from celosia.golden.config import NpuConfig
from celosia.golden.energy import Cost, Event, Events, count_events, npu_costs
from celosia.golden.energy.published import BENCHMARKS, PROCESSORS, scaled
from celosia.golden.memory_map import Counter
from celosia.golden.timing.crossbar import product_cycles


@dataclass(frozen=True)
class LayerEnergy:
    """One layer's share of an inference.

    `cycles` come from the cycle model. `events` are counted in the program, `uj` is what they cost,
    by event. `intensity` is multiply-accumulates for each byte that the on-chip memories give to
    the engine, `macs_per_cycle` what was reached: the two coordinates of a roofline.
    """

    name: str
    op: str
    engine: str
    macs: int
    cycles: int
    us: float
    events: dict[str, int]
    uj: dict[str, float]
    intensity: float | None
    macs_per_cycle: float


@dataclass(frozen=True)
class DesignEnergy:
    """An inference on the NPU, its layers on the engines that the program places them on.

    `peak` is the engine's multiply-accumulates a cycle, of the crossbar with all rows and outputs
    of a tile in use; `bandwidth` the bytes that the memories give it in a cycle.
    """

    title: str
    layers: list[LayerEnergy]
    cycles: int
    ms: float
    uj: float
    peak: float
    bandwidth: int


@dataclass(frozen=True)
class ProcessorEnergy:
    """A chip with published results; `scaled` where this network isn't among them."""

    name: str
    mhz: int
    source: str
    scaled: bool
    ms: float
    uj: float


@dataclass(frozen=True)
class EnergyReport:
    """What `celosia energy` reports; its fields are the keys of the JSON object."""

    model: str
    config: str
    clock_mhz: float
    macs: int
    benchmark: str | None
    designs: list[DesignEnergy]
    processors: list[ProcessorEnergy]
    costs: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def energy_report(programs: dict[str, Program | StreamedProgram], clock_mhz: float) -> EnergyReport:
    """Programs of one network by what tells them apart, beside the processors."""
    first, last = (list(programs.values())[place] for place in (0, -1))
    costs = {
        event.name.lower(): {"event": str(event), **asdict(cost)}
        for event, cost in npu_costs(last.config).items()
    }
    benchmark = BENCHMARKS.get(first.macs)
    return EnergyReport(
        model=first.name,
        config=first.config.name,
        clock_mhz=clock_mhz,
        macs=first.macs,
        benchmark=benchmark,
        designs=[_design(title, program, clock_mhz) for title, program in programs.items()],
        processors=[_processor(index, first.macs) for index in range(len(PROCESSORS))],
        costs=costs,
    )


def _processor(index: int, macs: int) -> ProcessorEnergy:
    processor = PROCESSORS[index]
    benchmark = BENCHMARKS.get(macs)
    known = None if benchmark is None else processor.results[benchmark]
    result = known or scaled(processor, macs)
    return ProcessorEnergy(
        processor.name, processor.mhz, processor.source, known is None, result.ms, result.uj
    )


def _design(title: str, program: Program | StreamedProgram, clock_mhz: float) -> DesignEnergy:
    config = program.config
    layers = [_layer(config, *spent, program.batch, clock_mhz) for spent in _spent(program)]
    cycles = sum(layer.cycles for layer in layers)
    return DesignEnergy(
        title=title,
        layers=layers,
        cycles=cycles,
        ms=cycles / clock_mhz / 1e3,
        uj=sum(sum(layer.uj.values()) for layer in layers),
        peak=_crossbar_peak(config) if program.crossbar else config.macs,
        # Weights of the crossbar are in its cells.
        bandwidth=config.rows + (0 if program.crossbar else config.columns),
    )


def _crossbar_peak(config: NpuConfig) -> float:
    assert config.crossbar is not None
    return config.crossbar.rows * config.crossbar.outputs / product_cycles(config)


def _spent(
    program: Program | StreamedProgram,
) -> Iterator[tuple[str, str, str, int, int, Events]]:
    """Name, operator, engine, MACs, cycles and events of each layer of a run."""
    if isinstance(program, Program):
        for layer, (cycles, events) in zip(program.layers, _program(program), strict=True):
            yield layer.name, layer.op, layer.engine, layer.macs, cycles, events
        return
    totals = [(0, dict.fromkeys(Event, 0)) for _ in program.layers]
    for piece in program.pieces:
        numbers = program.layer_numbers[piece.program]
        for number, (cycles, events) in zip(
            numbers, _program(program.programs[piece.program]), strict=True
        ):
            before, sums = totals[number]
            totals[number] = (
                before + cycles,
                {event: sums[event] + times for event, times in events.items()},
            )
    for whole, (cycles, events) in zip(program.layers, totals, strict=True):
        yield whole.name, whole.op, whole.engine, whole.macs, cycles, events


def _program(program: Program) -> list[tuple[int, Events]]:
    """Cycles and events of each layer of one program."""
    listing = disassemble(program.config, program.image, program.start)
    events = count_events(
        program.config, [instruction for _, instruction in listing], len(program.layers)
    )
    spent = program.modelled.layers(len(program.layers))
    return [(counters[Counter.CYCLES], each) for counters, each in zip(spent, events, strict=True)]


def _layer(
    config: NpuConfig,
    name: str,
    op: str,
    engine: str,
    macs: int,
    cycles: int,
    events: Events,
    batch: int,
    clock_mhz: float,
) -> LayerEnergy:
    costs: dict[Event, Cost] = npu_costs(config)
    each = -(-cycles // batch)
    moved = events[Event.WEIGHT_BYTE] + events[Event.SCRATCHPAD_BYTE]
    return LayerEnergy(
        name=name,
        op=op,
        engine=engine,
        macs=macs // batch,
        cycles=each,
        us=each / clock_mhz,
        events={event.name.lower(): times for event, times in events.items()},
        uj={
            event.name.lower(): times * costs[event].pj / batch / 1e6
            for event, times in events.items()
        },
        intensity=macs / moved if macs and moved else None,
        macs_per_cycle=macs / cycles,
    )
