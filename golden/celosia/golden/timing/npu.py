"""The whole NPU's time."""

from collections.abc import Iterable

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Instruction, Unit
from celosia.golden.timing.clockwork import Claims, Clock, PortShare
from celosia.golden.timing.depthwise import DepthwiseTiming, StripLoading
from celosia.golden.timing.load import LoadTiming
from celosia.golden.timing.matrix import MatrixTiming
from celosia.golden.timing.ordering import InstructionQueue, Semaphores
from celosia.golden.timing.post import PostTiming
from celosia.golden.timing.records import Profile, Records
from celosia.golden.timing.sequencer import SequencerTiming
from celosia.golden.timing.sums import Sums
from celosia.golden.timing.weights import LoadedWeights


def model_cycles(config: NpuConfig, program: Iterable[Instruction]) -> Profile:
    """The performance counters that a program leaves in hardware, computed without it.

    `program` holds the instructions up to HALT, which is its last.

    Raises:
        CelosiaError: a unit waits for what never comes.
    """
    clock, records = Clock(), Records()
    semaphores, sums = Semaphores(clock), Sums(clock)
    # The cycle that takes a tile into use takes the first row of the one after it.
    tiles, sets = LoadedWeights(clock, gap=0), LoadedWeights(clock, gap=1)
    queues: dict[Unit, InstructionQueue] = {
        unit: InstructionQueue(clock, config.queue_depth)
        for unit in Unit
        if unit is not Unit.SEQUENCER
    }
    # Who reads the memories, those first who wait for nobody: as in `celosia.hdl.npu.npu`.
    fetches, constants, activations = Claims(), Claims(), Claims()
    sequencer = SequencerTiming(config, program, queues, fetches)
    load = LoadTiming(
        config, queues[Unit.LOAD], tiles, sets, PortShare((fetches, constants)), records
    )
    strips = StripLoading(config, clock, sums)
    matrix = MatrixTiming(
        config,
        clock,
        queues[Unit.MATRIX],
        semaphores,
        tiles,
        strips,
        sums,
        activations,
        records,
    )
    depthwise = DepthwiseTiming(strips, sets, sums, semaphores, records)
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
            depthwise.run(),
            post.run(),
        ]
    )
    last = max(sequencer.halted, load.idle, matrix.idle, depthwise.idle, post.idle)
    return records.profile(last + 1)
