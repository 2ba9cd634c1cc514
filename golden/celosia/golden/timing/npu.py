"""The whole NPU's time."""

from collections.abc import Iterable

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Instruction, Unit
from celosia.golden.timing.clockwork import Claims, Clock, PortShare
from celosia.golden.timing.depthwise import DepthwiseTiming
from celosia.golden.timing.load import LoadTiming
from celosia.golden.timing.matrix import MatrixTiming
from celosia.golden.timing.ordering import InstructionQueue, Semaphores
from celosia.golden.timing.post import PostTiming
from celosia.golden.timing.records import Profile, Records
from celosia.golden.timing.sequencer import SequencerTiming
from celosia.golden.timing.tiles import Tiles

TILE_RELOAD_CYCLES, SET_RELOAD_CYCLES = 0, 1
"""From taking a tile or set into use until the engine takes the next one's first vector."""


def model_cycles(config: NpuConfig, program: Iterable[Instruction]) -> Profile:
    """The performance counters that a program leaves in hardware, computed without it.

    `program` holds the instructions up to HALT, which is its last.

    Raises:
        CelosiaError: a unit waits for what never comes.
    """
    clock, records = Clock(), Records()
    semaphores = Semaphores(clock)
    tiles, sets = Tiles(clock, TILE_RELOAD_CYCLES), Tiles(clock, SET_RELOAD_CYCLES)
    queues: dict[Unit, InstructionQueue] = {
        unit: InstructionQueue(clock, config.queue_depth)
        for unit in Unit
        if unit is not Unit.SEQUENCER
    }
    # Who reads the memories, those first who wait for nobody: as in `celosia.hdl.npu.npu`.
    fetches, constants, activations = Claims(), Claims(), Claims()
    sequencer = SequencerTiming(config, program, queues, fetches)
    weights = PortShare((fetches, constants))
    load = LoadTiming(config, queues[Unit.LOAD], tiles, sets, weights, records)
    depthwise = DepthwiseTiming(config, clock, semaphores, sets, activations, records)
    matrix = MatrixTiming(
        config, clock, queues[Unit.MATRIX], semaphores, tiles, depthwise, activations, records
    )
    post = PostTiming(
        config,
        queues[Unit.POST],
        semaphores,
        PortShare((fetches,), constants),
        PortShare((activations,)),
        records,
    )
    clock.run(
        [
            sequencer.run(),
            load.run(),
            matrix.issue(),
            matrix.stream(),
            depthwise.compute(),
            post.run(),
        ]
    )
    last = max(sequencer.halted, load.idle, matrix.idle, post.idle)
    return records.profile(last + 1)
