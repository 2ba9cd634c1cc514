"""POST: requantises sums, adds and multiplies tensors, pools windows, and stores the results."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import (
    VECTOR_INSTRUCTIONS,
    Add,
    Drain,
    LoadParameters,
    LoadTable,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
)
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.constant_loader import ConstantLoader
from celosia.hdl.npu.interfaces import (
    SEMAPHORES,
    InstructionStream,
    MemoryReadSignature,
    MemoryWriteSignature,
    SemaphoreSignature,
    field_width,
    instruction_layout,
    is_instruction,
    vector,
)
from celosia.hdl.npu.lane_collector import LaneCollector
from celosia.hdl.npu.lane_feed import LaneFeed, feed_tag
from celosia.hdl.npu.output_addresses import EXTENT_BITS, OutputAddresses
from celosia.hdl.npu.parameter_registers import ParameterRegisters
from celosia.hdl.npu.post_readers import SumReader
from celosia.hdl.npu.requantizer import Requantizer
from celosia.hdl.npu.serial_drain import SerialDrain
from celosia.hdl.npu.serial_requantizer import SerialRequantizer
from celosia.hdl.npu.sum_feed import SumFeed, parameter_turn
from celosia.hdl.npu.tap_reducer import SUM_BITS, Tap
from celosia.hdl.npu.vector_operands import VectorOperands

__all__ = ["PostUnit"]

SETTINGS = (PostOutput, PostScale, PostLoop, PostInput)
WORK = (LoadParameters, Drain, LoadTable, Add, Mul, Pool)
Completion = data.StructLayout({"signal": unsigned(SEMAPHORES), "mark": 1})


class PostUnit(wiring.Component):
    """Executes POST's instructions in order.

    An instruction starts once all before it are complete; only a DRAIN may start behind a DRAIN
    whose sums have all left the accumulators, since it reads nothing that POST writes and its
    writes stay behind the other's. (A bit-serial POST, as the configuration says, waits then, too.)
    An instruction is complete when its last write has been
    accepted, or its last table entry or parameter is in place.

    Without vector operations there are no ADD, MUL, POOL and what belongs to them.

    Throughput, without stalls: DRAIN r = R / L * `requantizer_cycles` cycles for each vector, ADD
    and MUL max(2, r), POOL max(taps, r), LOAD_PARAMETERS 1 for each vector, LOAD_TABLE 256 in all;
    a setting 1 cycle.
    Latency of the pipeline: that of the requantiser and 6 to 14 cycles, or that of `SerialDrain`.

    Back-pressure: all memories may refuse requests and answer as late as they like; the pipeline
    waits for the slowest. Reset forgets all but settings, parameters and tables.

    Parameters
    ----------
    config : NpuConfig
        Sizes, and the profiles whose rounding modes are built.
    family : Family, optional
        Of the FPGA, whose multiplier primitives are to be used.

    Members
    -------
    instructions : In(InstructionStream)
        POST's instructions only, with values that the golden machine takes.
    semaphores : Out(SemaphoreSignature())
        Waits and signals.
    weights : Out(MemoryReadSignature(C bytes))
        Reads of parameter records and tables.
    accumulators : Out(MemoryReadSignature(C int32))
        Reads of sums.
    scratchpad : Out(MemoryReadSignature(R bytes, Tap))
        Reads of ADD's, MUL's and POOL's operands, where the configuration has vector operations.
    write : Out(MemoryWriteSignature(R))
        Results.
    mark : Out(1)
        Pulse in the cycle in which an instruction with its mark set is complete, as for signals.
    state : Out(4)
        `UnitState`: IDLE, WAITING_SEMAPHORE with nothing at work, or RUNNING.
    busy : Out(1)
        An instruction is at work.
    """

    instructions: stream.Interface
    semaphores: wiring.PureInterface
    weights: wiring.PureInterface
    accumulators: wiring.PureInterface
    write: stream.Interface
    mark: Signal
    state: Signal
    busy: Signal

    def __init__(self, config, family=None):
        self.config = config
        self._family = family
        members = {
            "instructions": In(InstructionStream),
            "semaphores": Out(SemaphoreSignature()),
            "weights": Out(MemoryReadSignature(vector(config.columns))),
            "accumulators": Out(MemoryReadSignature(vector(config.columns, SUM_BITS))),
            "write": Out(MemoryWriteSignature(config.rows)),
            "mark": Out(1),
            "state": Out(4),
            "busy": Out(1),
        }
        if config.vector_operations:
            members["scratchpad"] = Out(MemoryReadSignature(vector(config.rows), Tap))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config = self.config
        if config.vector_operations:
            addresses = OutputAddresses(vectors=(1 << field_width(Add, "count")) - 1)
        else:
            addresses = OutputAddresses(
                vectors=config.tile_vectors,
                extent_bits=min(EXTENT_BITS, config.accumulator_depth.bit_length()),
            )
        m.submodules.addresses = addresses
        m.submodules.loader = loader = ConstantLoader(config)
        feed, record, control, done = (
            self._serial_drain(m) if config.is_bit_serial else self._pipeline(m)
        )
        may_drain = addresses.runs.ready
        wiring.connect(m, addresses.o, feed.addresses)
        wiring.connect(m, loader.read, wiring.flipped(self.weights))
        m.d.comb += [
            record.plane.eq(loader.plane),
            record.vector.eq(loader.vector),
            record.write_enable.eq(loader.plane_enable),
        ]

        absent = () if config.vector_operations else VECTOR_INSTRUCTIONS
        word = {
            kind: data.View(instruction_layout(kind), self.instructions.payload)
            for kind in (*SETTINGS, *WORK)
            if kind not in absent
        }
        is_kind = {kind: is_instruction(self.instructions.payload, kind) for kind in word}
        start = {kind: Signal(name=f"start_{kind.__name__}") for kind in word}
        self._settings(m, word, start, feed, control, addresses)
        starts = start[Drain]
        if config.vector_operations:
            starts = starts | start[Add] | start[Mul] | start[Pool]
        self._work(m, word, is_kind, start, starts, feed, addresses, loader)
        if config.is_bit_serial:
            m.d.comb += [feed.starts.eq(start[Drain]), feed.first.eq(word[Drain].accumulator)]
        else:
            may_drain &= self._read_sums(m, word[Drain], start[Drain], feed)
        if config.vector_operations:
            self._vector_operations(m, word, is_kind, start, starts, feed, addresses, loader)
        self._order(
            m,
            word,
            is_kind,
            start,
            may_drain=may_drain,
            done=done | loader.done,
        )
        return m

    def _serial_drain(self, m):
        """One block for all behind the sums: what takes them, what takes records, the settings that
        outputs have in common, and whether a last vector is stored."""
        m.submodules.drain = drain = SerialDrain(self.config)
        wiring.connect(m, drain.write, wiring.flipped(self.write))
        wiring.connect(m, drain.accumulators, wiring.flipped(self.accumulators))
        return drain, drain, drain.output, drain.done

    def _pipeline(self, m):
        """The same as a pipeline of several blocks."""
        config = self.config
        m.submodules.requantizer = requantizer = self._requantizer()
        bits = requantizer.multiplier_bits
        if config.vector_operations:
            feed = LaneFeed(config, multiplier_bits=bits, family=self._family)
        else:
            feed = SumFeed(config, multiplier_bits=bits)
        m.submodules.feed = feed
        m.submodules.collector = collector = LaneCollector(config)
        turn = 0 if config.vector_operations else parameter_turn(config)
        m.submodules.parameters = parameters = ParameterRegisters(
            config, multiplier_bits=bits, turn=turn
        )
        if turn:
            m.d.comb += parameters.turns.eq(feed.turns)
        wiring.connect(m, feed.o, requantizer.i)
        wiring.connect(m, requantizer.o, collector.i)
        wiring.connect(m, collector.write, wiring.flipped(self.write))
        m.d.comb += feed.parameters.eq(parameters.parameters)
        return feed, parameters, requantizer.control, collector.done

    def _read_sums(self, m, drain, starts, feed):
        """The sums' way to the feed; returns whether the next ones may be asked for."""
        m.submodules.sums = sums = SumReader()
        m.d.comb += [
            sums.runs.valid.eq(starts),
            sums.runs.payload.address.eq(drain.accumulator),
            sums.runs.payload.columns.eq(drain.columns),
            sums.runs.payload.rows.eq(drain.rows),
            self.accumulators.request.valid.eq(sums.o.valid),
            self.accumulators.request.payload.address.eq(sums.o.payload),
            sums.o.ready.eq(self.accumulators.request.ready),
            feed.drained.valid.eq(self.accumulators.response.valid),
            feed.drained.payload.eq(self.accumulators.response.payload.vector),
            self.accumulators.response.ready.eq(feed.drained.ready),
        ]
        return sums.runs.ready

    def _requantizer(self):
        config = self.config
        common = {
            "lanes": config.requantizer_lanes,
            "modes": config.modes,
            "tag": feed_tag(config),
        }
        if config.requantizer_cycles == 1:
            return Requantizer(family=self._family, **common)
        return SerialRequantizer(bits=config.requantizer_bits, **common)

    def _settings(self, m, word, start, feed, control, addresses):
        """Keep what setting instructions set."""
        output, scale = word[PostOutput], word[PostScale]

        def kept(kind, target, value):
            """`target` is the value of the last instruction of that kind."""
            register = Signal.like(target, name=f"{kind.__name__}_value", reset_less=True)
            with m.If(start[kind]):
                m.d.sync += register.eq(value)
            m.d.comb += target.eq(register)

        kept(PostOutput, addresses.column_step, output.column_step)
        kept(PostOutput, addresses.row_step, output.row_step)
        if self.config.is_bit_serial:
            m.d.comb += [
                feed.sets_output.eq(start[PostOutput]),
                feed.sets_scale.eq(start[PostScale]),
                *(control[name].eq(output[name]) for name, _ in control.shape()),
                *(feed.scale[name].eq(scale[name]) for name, _ in feed.scale.shape()),
            ]
            return
        for name in ("mode", "zero_point", "low", "high"):
            kept(PostOutput, control[name], output[name])
        for name in ("bias", "multiplier", "exponent"):
            kept(PostScale, feed.scale[name], scale[name])

    def _work(self, m, word, is_kind, start, starts, feed, addresses, loader):
        """Start what works, with what the instruction says."""
        drain, load = word[Drain], word[LoadParameters]
        uniform = Signal()
        m.d.comb += [
            loader.commands.valid.eq(start[LoadParameters]),
            loader.commands.payload.address.eq(load.address),
            loader.commands.payload.planes.eq(load.planes),
            addresses.runs.valid.eq(starts),
            feed.uniform.eq(uniform),
        ]
        # Vector operations have one scale, and fill all lanes.
        with m.If(starts):
            m.d.sync += uniform.eq(~is_kind[Drain] | drain.uniform)
        slices = self.config.tile_slices
        if slices > 1:
            chosen = Signal.like(feed.slice, reset_less=True)
            with m.If(starts):
                m.d.sync += chosen.eq(Mux(is_kind[Drain], drain.slice, slices))
            m.d.comb += feed.slice.eq(chosen)
        run = addresses.runs.payload
        m.d.comb += [
            run.address.eq(drain.output),
            run.vectors.eq(drain.vectors),
            run.columns.eq(drain.columns),
            run.rows.eq(drain.rows),
        ]

    def _vector_operations(self, m, word, is_kind, start, starts, feed, addresses, loader):
        """ADD, MUL and POOL, and the tables of the first two."""
        m.submodules.operands = operands = VectorOperands(rows=self.config.rows)
        wiring.connect(m, operands.scratchpad, wiring.flipped(self.scratchpad))
        wiring.connect(m, operands.o, feed.reduced)
        pool, add = word[Pool], word[Add]  # MUL's fields are those of ADD
        draining, adding, multiplying = Signal(), Signal(), Signal()
        reducing = Signal(init=1)
        with m.If(starts):
            m.d.sync += [
                draining.eq(is_kind[Drain]),
                reducing.eq(~is_kind[Drain]),
                adding.eq(is_kind[Add]),
                multiplying.eq(is_kind[Mul]),
            ]
        m.d.comb += [
            operands.word.eq(self.instructions.payload),
            operands.sets_loop.eq(start[PostLoop]),
            operands.sets_image.eq(start[PostInput]),
            operands.elementwise.eq(start[Add] | start[Mul]),
            operands.pools.eq(start[Pool]),
            operands.pairs.eq(adding | multiplying),
            feed.draining.eq(draining),
            feed.reducing.eq(reducing),
            feed.adding.eq(adding),
            feed.multiplying.eq(multiplying),
            feed.table_enable.eq(loader.entry_enable),
            feed.table.eq(loader.table),
            feed.entry.eq(loader.entry),
            feed.value.eq(loader.value),
            loader.commands.valid.eq(start[LoadParameters] | start[LoadTable]),
            loader.commands.payload.is_table.eq(start[LoadTable]),
            loader.commands.payload.table.eq(word[LoadTable].table),
        ]
        # By what stands first, whether it starts or not, which is known later.
        run = addresses.runs.payload
        with m.If(is_kind[Add] | is_kind[Mul]):
            m.d.comb += [
                run.address.eq(add.output),
                run.vectors.eq(add.count),
                run.columns.eq(1),
                run.rows.eq(1),
            ]
        with m.Elif(~is_kind[Drain]):
            m.d.comb += [
                run.address.eq(pool.output),
                run.vectors.eq(operands.vectors),
                run.columns.eq(pool.columns),
                run.rows.eq(pool.rows),
            ]

    def _order(self, m, word, is_kind, start, *, may_drain, done):
        """When the next instruction starts, and what happens when one is complete."""
        common = word[Drain]  # opcode, wait, signal and mark stand in the same place in all
        # Instructions that may be at work at once: two, so that a pipeline doesn't run empty.
        in_flight = 1 if self.config.is_bit_serial else 2
        at_work = Signal(range(in_flight + 1))
        drains = Signal()  # what is at work is DRAINs
        may_start = Signal()
        begin = Signal()
        m.d.comb += [
            may_start.eq(
                (at_work == 0) | (drains & is_kind[Drain] & may_drain & (at_work != in_flight))
            ),
            begin.eq(self.instructions.valid & self.semaphores.grant & may_start),
            self.instructions.ready.eq(self.semaphores.grant & may_start),
            self.semaphores.take.eq(begin),
        ]
        m.d.comb += [start[kind].eq(begin & is_kind[kind]) for kind in word]
        with m.If(self.instructions.valid):
            m.d.comb += self.semaphores.wait.eq(common.wait)

        # Completions in order, the next one first.
        completion = Signal(Completion)
        begun = Signal(Completion)
        starts_work = begin & reduce(or_, (is_kind[kind] for kind in WORK if kind in word))
        m.d.comb += [begun.signal.eq(common.signal), begun.mark.eq(common.mark)]
        m.d.sync += at_work.eq(at_work + starts_work - done)
        with m.If(starts_work):
            m.d.sync += drains.eq(is_kind[Drain])
        if in_flight == 1:
            with m.If(starts_work):
                m.d.sync += completion.eq(begun)
        else:
            following = Signal(Completion)
            with m.If(done):
                m.d.sync += completion.eq(following)
            with m.If(starts_work):
                with m.If(at_work == done):
                    m.d.sync += completion.eq(begun)
                with m.Else():
                    m.d.sync += following.eq(begun)

        report = Signal(Completion)
        with m.If(done):
            m.d.comb += report.eq(completion)
        with m.Elif(begin & ~starts_work):
            m.d.comb += report.eq(begun)
        m.d.comb += [
            self.semaphores.signal.eq(report.signal),
            self.mark.eq(report.mark),
            self.busy.eq(at_work != 0),
            self.state.eq(Mux(at_work != 0, UnitState.RUNNING, UnitState.IDLE)),
        ]
        with m.If((at_work == 0) & self.instructions.valid):
            m.d.comb += self.state.eq(
                Mux(self.semaphores.grant, UnitState.RUNNING, UnitState.WAITING_SEMAPHORE)
            )
