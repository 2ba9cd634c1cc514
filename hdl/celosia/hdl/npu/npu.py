"""The whole NPU: memories, units, and what orders them."""

from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.isa import INSTRUCTION_BITS, Semaphore, Unit
from celosia.golden.memory_map import Counter, UnitState
from celosia.hdl.crossbar.engine import CrossbarEngine
from celosia.hdl.family import WITHOUT_LUT_RAM
from celosia.hdl.npu.accumulators import Accumulators
from celosia.hdl.npu.broadcast_array import BroadcastArray
from celosia.hdl.npu.counters import PerformanceCounters
from celosia.hdl.npu.depthwise_engine import DepthwiseEngine
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan
from celosia.hdl.npu.host_port import STATUS, HostPort
from celosia.hdl.npu.interfaces import HostRequest, vector
from celosia.hdl.npu.load_unit import LoadUnit
from celosia.hdl.npu.matrix_array import MatrixArray
from celosia.hdl.npu.matrix_unit import MatrixUnit
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierPlan
from celosia.hdl.npu.post_unit import PostUnit
from celosia.hdl.npu.read_arbiter import ReadArbiter
from celosia.hdl.npu.semaphores import Semaphores
from celosia.hdl.npu.sequencer import Sequencer
from celosia.hdl.npu.systolic_array import SystolicArray
from celosia.hdl.npu.vector_memory import Answers, VectorMemory
from celosia.hdl.stream import StreamFifo

__all__ = ["Npu"]

QUEUE_BITS = 8
"""Of each queue's level, in `memory_map.Register.QUEUES`."""


class Npu(wiring.Component):
    """An int8 systolic NPU, sized by its configuration alone.

    `multipliers` says of which cells the int8 multipliers are: the depthwise engine's first, then
    the array's row by row. Its family is that of POST's multipliers too, and says of what cells
    small memories are. `memories` says which of the large ones need the clock of twice the
    frequency (`DoublePumpedStorage`). They change neither what is computed nor in which cycle.

    The host writes a program and its inputs through the bus, starts it, waits for STATUS to say
    done, and reads the outputs and counters (`celosia.golden.memory_map`). Throughput of the bus:
    a written word each cycle; reads take a few cycles. START resets all units: whatever a faulty
    program left in them, tiles and waiting instructions among it, can't reach the next one.

    Members:
        request: stream of `HostRequest`. response: stream of 32-bit words, one for each read.
        status: the STATUS register, as it stands in this cycle.
    """

    def __init__(
        self,
        config: NpuConfig,
        multipliers: MultiplierPlan = EXPRESSIONS,
        memories: MemoryPlan = INFERRED,
    ) -> None:
        self._config = config
        self._multipliers = multipliers
        self._memories = memories
        super().__init__(
            {
                "request": In(stream.Signature(HostRequest)),
                "response": Out(stream.Signature(32)),
                "status": Out(STATUS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        start = Signal()
        # The host has no access under way when it starts a program, so the memories' answers to
        # the units can go as well.
        restarted = ResetInserter(start)
        m.submodules.host = host = HostPort(config)
        m.submodules.sequencer = sequencer = Sequencer(config)
        family = self._multipliers.family
        matrix = MatrixUnit(config, block_memories=family in WITHOUT_LUT_RAM)
        load, post = LoadUnit(config), PostUnit(config, family)
        m.submodules.load = restarted(load)
        m.submodules.matrix = restarted(matrix)
        m.submodules.post = restarted(post)
        array = BroadcastArray if config.is_bit_serial else SystolicArray
        engine = array(
            rows=config.rows,
            columns=config.columns,
            multipliers=self._multipliers.after(config.depthwise_lanes * config.depthwise_taps),
        )
        m.submodules.engine = restarted(engine)
        accumulators = Accumulators(
            columns=config.columns,
            depth=config.accumulator_depth,
            tag=int(config.readable_sums),  # whose answer it is
            compact=config.compact,
        )
        m.submodules.accumulators = restarted(accumulators)
        m.submodules.semaphores = semaphores = Semaphores(
            units=2,
            # Where units take instructions from the sequencer, longer paths than these do so.
            compact=not config.queue_depth,
        )
        m.submodules.counters = counters = PerformanceCounters(config.profile_depth)

        wiring.connect(m, wiring.flipped(self.request), host.request)
        wiring.connect(m, wiring.flipped(self.response), host.response)

        # Clients of a memory, those who must not wait first. The host reads a word in three cycles
        # at best, and would never have its turn while MATRIX reads in each.
        weights_clients = [sequencer.read, post.weights, load.read, host.weights_read]
        scratchpad_clients = [host.scratchpad_read, matrix.read]
        if config.vector_operations:
            scratchpad_clients.append(post.scratchpad)
        # Planes of a record never wait; table entries do.
        constants = Answers.DIRECT if config.is_bit_serial else Answers.BUFFERED
        weights = VectorMemory(
            depth=config.weight_depth,
            lanes=config.columns,
            tags=[_tag_shape(client) for client in weights_clients],
            answers=[Answers.DIRECT, constants, Answers.BUFFERED, Answers.DIRECT],
            writers=1,
            compact=config.compact,
            double_pumped=self._memories.weights,
        )
        scratchpad = VectorMemory(
            depth=config.scratchpad_depth,
            lanes=config.rows,
            tags=[_tag_shape(client) for client in scratchpad_clients],
            answers=[Answers.DIRECT] + [Answers.BUFFERED] * (len(scratchpad_clients) - 1),
            writers=2,
            compact=config.compact,
            double_pumped=self._memories.scratchpad,
        )
        m.submodules.weights = restarted(weights)
        m.submodules.scratchpad = restarted(scratchpad)
        for memory, clients in ((weights, weights_clients), (scratchpad, scratchpad_clients)):
            for i, client in enumerate(clients):
                wiring.connect(m, client, getattr(memory, f"read_{i}"))
        wiring.connect(m, host.weights_write, weights.write_0)
        wiring.connect(m, post.write, scratchpad.write_0)
        wiring.connect(m, host.scratchpad_write, scratchpad.write_1)

        if config.readable_sums:
            readers = ReadArbiter(vector(config.columns, 32))
            m.submodules.sums_readers = restarted(readers)
            wiring.connect(m, post.accumulators, readers.first)
            wiring.connect(m, host.accumulators_read, readers.second)
            wiring.connect(m, readers.memory, accumulators.read)
        else:
            wiring.connect(m, post.accumulators, accumulators.read)
        if config.profile_depth:
            wiring.connect(m, host.profile_read, counters.read)

        wiring.connect(m, load.weights, engine.weights)
        wiring.connect(m, matrix.activations, engine.activations)
        wiring.connect(m, matrix.jobs, accumulators.jobs)
        crossbar = self._crossbar(m, start, host, matrix)
        depthwise = self._sums(m, restarted, load, matrix, engine, accumulators, crossbar)

        units = {Unit.LOAD: load, Unit.MATRIX: matrix, Unit.POST: post}
        levels: dict[Unit, Value] = {}
        for unit, block in units.items():
            name = unit.name.lower()
            if not config.queue_depth:
                wiring.connect(m, getattr(sequencer, name), block.instructions)
                levels[unit] = Const(0)
                continue
            queue = StreamFifo(shape=unsigned(INSTRUCTION_BITS), depth=config.queue_depth)
            m.submodules[f"{name}_queue"] = restarted(queue)
            wiring.connect(m, getattr(sequencer, name), queue.i)
            wiring.connect(m, queue.o, block.instructions)
            levels[unit] = queue.level

        wiring.connect(m, matrix.semaphores, semaphores.unit_0)
        wiring.connect(m, post.semaphores, semaphores.unit_1)
        m.d.comb += semaphores.extra.eq(accumulators.signal)

        settled = Signal()
        idle = Signal()
        m.d.comb += [
            settled.eq(
                (levels[Unit.MATRIX] == 0)
                & (levels[Unit.POST] == 0)
                & ~(matrix.busy | accumulators.busy | post.busy)
            ),
            idle.eq(settled & (levels[Unit.LOAD] == 0) & ~load.busy),
            sequencer.idle.eq(idle),
            sequencer.settled.eq(settled),
        ]
        self._control(m, start, host, sequencer, semaphores, counters)
        queues = [Signal(QUEUE_BITS, name=f"{unit.name.lower()}_waiting") for unit in units]
        units_state = Cat(sequencer.state, load.state, matrix.state, post.state)
        m.d.comb += self.status.eq(host.status)
        # What the host sees of the units is a cycle old, as all is that is counted.
        m.d.sync += [
            host.units.eq(units_state),
            *(seen.eq(level) for seen, level in zip(queues, levels.values(), strict=True)),
        ]
        m.d.comb += host.queues.eq(Cat(*queues))
        self._count(m, start, sequencer, load, matrix, post, engine, depthwise, crossbar, counters)
        return m

    def _sums(
        self,
        m: Module,
        restarted: ResetInserter,
        load: LoadUnit,
        matrix: MatrixUnit,
        engine: MatrixArray,
        accumulators: Accumulators,
        crossbar: CrossbarEngine | None,
    ) -> DepthwiseEngine | None:
        """Connect the accumulators to the engines; returns the depthwise one, if there is one.

        Jobs are in program order, so that each engine's next sums are those of its next job.
        """
        chosen: list[tuple[Signal | Const, stream.Interface]] = []
        depthwise = None
        if self._config.depthwise_taps:
            depthwise = DepthwiseEngine(self._config, self._multipliers)
            m.submodules.depthwise = restarted(depthwise)
            wiring.connect(m, load.depthwise, depthwise.weights)
            wiring.connect(m, matrix.depthwise_jobs, depthwise.jobs)
            wiring.connect(m, matrix.depthwise_vectors, depthwise.vectors)
            m.d.comb += depthwise.sums.ready.eq(accumulators.depthwise_ready)
            chosen.append((accumulators.depthwise, depthwise.sums))
        if crossbar is not None:
            m.d.comb += crossbar.sums.ready.eq(accumulators.crossbar_ready)
            chosen.append((accumulators.crossbar, crossbar.sums))
        if not chosen:
            wiring.connect(m, engine.sums, accumulators.sums)
            return None
        sums = accumulators.sums
        m.d.comb += engine.sums.ready.eq(accumulators.array_ready)

        def take(source: stream.Interface) -> None:
            m.d.comb += [sums.payload.eq(source.payload), sums.valid.eq(source.valid)]

        with m.If(chosen[0][0]):
            take(chosen[0][1])
        for condition, source in chosen[1:]:
            with m.Elif(condition):
                take(source)
        with m.Else():
            take(engine.sums)
        return depthwise

    def _crossbar(
        self, m: Module, start: Signal, host: HostPort, matrix: MatrixUnit
    ) -> CrossbarEngine | None:
        """The crossbar, if there is one; START ends products and commands, and leaves its cells."""
        if self._config.crossbar is None:
            return None
        crossbar = CrossbarEngine(self._config)
        m.submodules.crossbar = crossbar
        wiring.connect(m, matrix.crossbar_vectors, crossbar.vectors)
        wiring.connect(m, host.crossbar_request, crossbar.request)
        wiring.connect(m, crossbar.response, host.crossbar_response)
        # Nobody can be harmed by an emulator.
        m.d.comb += [crossbar.restart.eq(start), crossbar.interlock.eq(1)]
        return crossbar

    @staticmethod
    def _control(
        m: Module,
        start: Signal,
        host: HostPort,
        sequencer: Sequencer,
        semaphores: Semaphores,
        counters: PerformanceCounters,
    ) -> None:
        """Start, step and status."""
        started = Signal()
        # It resets all units, wherever they lie: a register at the begin of a long path.
        m.d.sync += start.eq(host.start & (~sequencer.running | sequencer.illegal))
        m.d.comb += [
            sequencer.start.eq(start),
            sequencer.program.eq(host.program),
            sequencer.step.eq(host.step),
            sequencer.step_mode.eq(host.step_mode),
            semaphores.clear.eq(start),
            host.status.busy.eq(sequencer.running),
            host.status.done.eq(started & ~sequencer.running),
            host.status.illegal.eq(sequencer.illegal),
            host.status.stepped.eq(sequencer.stepped),
            host.program_counter.eq(sequencer.program_counter),
            host.semaphores.eq(semaphores.counts),
            host.marks.eq(counters.marks),
            counters.select.eq(host.counter),
            host.count.eq(counters.value),
            host.current.eq(counters.current),
        ]
        with m.If(start):
            m.d.sync += started.eq(1)

    @staticmethod
    def _count(
        m: Module,
        start: Signal,
        sequencer: Sequencer,
        load: LoadUnit,
        matrix: MatrixUnit,
        post: PostUnit,
        engine: MatrixArray,
        depthwise: DepthwiseEngine | None,
        crossbar: CrossbarEngine | None,
        counters: PerformanceCounters,
    ) -> None:
        """Count the events of each cycle; exactly one MATRIX_* while a program runs.

        All of it two cycles late: much of what is counted is the end of a long path, and so is
        which counter counts it.
        """

        def seen(value: Value, name: str) -> Signal:
            copy = Signal.like(value, name=f"seen_{name}")
            m.d.sync += copy.eq(value)
            return copy

        weights, activations = load.read.response, engine.activations
        running = seen(sequencer.running, "running")
        loading = seen(weights.valid & weights.ready, "loading")
        matrix_state, post_state = seen(matrix.state, "matrix"), seen(post.state, "post")
        # Both may be missing; the previous layer's output is then the deeper reason.
        dependency = seen((matrix.semaphores.wait & Semaphore.STORED) != 0, "dependency")
        offered = seen(activations.valid, "offered")
        taken = seen(activations.valid & activations.ready, "taken")
        computing = Const(0) if depthwise is None else seen(depthwise.computing, "computing")
        waiting = Const(0) if depthwise is None else seen(depthwise.waiting, "waiting")
        # Statements would part an If from what belongs to it.
        multiplying = None if crossbar is None else seen(crossbar.busy, "crossbar")
        m.d.sync += [
            counters.clear.eq(seen(start, "start")),
            counters.mark.eq(seen(post.mark, "mark")),
        ]

        # The last counter is the crossbar's: without one it has no event.
        events = Signal(len(Counter) - (crossbar is None))
        with m.If(running):
            m.d.comb += [
                events[Counter.CYCLES].eq(1),
                events[Counter.LOAD_BUSY].eq(loading),
                events[Counter.POST_BUSY].eq(post_state == UnitState.RUNNING),
                events[Counter.POST_WAIT].eq(post_state == UnitState.WAITING_SEMAPHORE),
            ]
            with m.If(taken):
                m.d.comb += events[Counter.MATRIX_BUSY].eq(1)
            with m.Elif(computing):
                m.d.comb += events[Counter.MATRIX_DEPTHWISE].eq(1)
            if multiplying is not None:
                with m.Elif(multiplying):
                    m.d.comb += events[Counter.MATRIX_CROSSBAR].eq(1)
            with m.Elif(offered | waiting):
                m.d.comb += events[Counter.MATRIX_WEIGHTS].eq(1)
            with m.Elif(matrix_state == UnitState.WAITING_SEMAPHORE):
                m.d.comb += [
                    events[Counter.MATRIX_DEPENDENCY].eq(dependency),
                    events[Counter.MATRIX_ACCUMULATORS].eq(~dependency),
                ]
            with m.Elif(matrix_state == UnitState.IDLE):
                m.d.comb += events[Counter.MATRIX_IDLE].eq(1)
            with m.Else():
                m.d.comb += events[Counter.MATRIX_MEMORY].eq(1)
        m.d.sync += counters.events.eq(events)


def _tag_shape(reader: wiring.PureInterface) -> object:
    return reader.request.payload.shape()["tag"].shape
