"""MATRIX: turns instructions into the vectors of the matrix and the depthwise engine."""

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from celosia.golden.isa import (
    Depthwise,
    DepthwiseWindow,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Product,
    Semaphore,
)
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.address_generator import AddressGenerator
from celosia.hdl.npu.interfaces import (
    AccumulateJob,
    CrossbarEngineSignature,
    DepthwiseEngineSignature,
    DepthwiseJob,
    InstructionStream,
    MatrixEngineSignature,
    MemoryReadSignature,
    SemaphoreSignature,
    field_width,
    instruction_layout,
    is_instruction,
    vector,
)
from celosia.hdl.stream import StreamFifo

__all__ = ["MatrixUnit"]

IN_FLIGHT_BITS = 8
MEMORY_CYCLES = 16
"""Latency of the scratchpad up to which jobs of short passes find room without a pause."""
ROOM_AHEAD = 2
"""Places behind those: for a job that comes as the last of them is taken, and for one on its way
through the queue."""

TILE = unsigned(field_width(Product, "tile"))


def request_tag(config):
    """What becomes of the vector that the scratchpad answers with."""
    crossbar = {} if config.crossbar is None else {"crossbar": 1, "pixel_end": 1, "tile": TILE}
    return data.StructLayout(
        {
            "first": 1,
            "inside": 1,
            "padding": signed(field_width(MatrixInput, "padding")),
            "depthwise": 1,
            "column_end": 1,
            "strip_end": 1,
            **crossbar,
        }
    )


def job_fields(config):
    """What a job says of its sums, in as many bits as there are accumulators and semaphores for."""
    extent = unsigned(bits_for(config.accumulator_depth))
    return {
        "base": unsigned(ceil_log2(config.accumulator_depth)),
        "rows": extent,
        "columns": extent,
        "signal": unsigned(len(Semaphore)),
    }


def run_tag(config):
    """What the positions of a MATMUL, DEPTHWISE or PRODUCT need to know of it."""
    crossbar = {} if config.crossbar is None else {"crossbar": 1, "tile": TILE}
    return data.StructLayout(
        {
            **job_fields(config),
            "accumulate": 1,
            "padding": signed(field_width(MatrixInput, "padding")),
            "depthwise": 1,
            **crossbar,
        }
    )


class MatrixUnit(wiring.Component):
    """Executes MATRIX's instructions, as `celosia.golden.isa` defines them.

    For every position of a MATMUL's loop nest it reads a vector from the scratchpad and hands it,
    or ``padding`` in all lanes where the position lies outside the image, to the matrix engine.
    Positions outside read address 0. Every pass, that is every run through levels 0 and 1, begins
    with a vector that is ``first`` and is announced by a job, which leaves at the latest with
    the request for that vector. The first pass's job overwrites unless the MATMUL says
    ``accumulate``; the last pass's carries the MATMUL's ``signal``, reserved bits aside. A
    DEPTHWISE has one pass, whose vectors go to the depthwise engine, which gets a job of its own as
    the instruction starts.

    Throughput: a request every cycle, without a gap between passes and between instructions whose
    semaphores are there; settings take a cycle each, and wait for the requests of the instruction
    before them, not for its vectors. Latency: the first request 2 cycles after its instruction was
    taken, or 1 where instructions have no queue; from response to activation 0.

    Back-pressure: ``read.response.ready`` follows the ``ready`` of the vector's engine
    combinationally. Requests pause while the queue of jobs is full; it holds those of all the
    passes between the scratchpad and the accumulators. At most 255 requests may be between memory
    and engine.

    Reset forgets everything but the settings.

    Parameters
    ----------
    config : NpuConfig
        Sizes.
    block_memories : bool
        Whether small memories are made for block RAMs (`AddressGenerator`).

    Members
    -------
    instructions : In(InstructionStream)
        MATRIX's instructions, in order; taken when they start.
    semaphores : Out(SemaphoreSignature())
        ``signal`` is for settings only: the others signal through their last job.
    read : Out(MemoryReadSignature(vector(rows), request_tag(config)))
        The scratchpad.
    activations : Out(stream.Signature({"vector", "first"}))
        To the matrix engine.
    depthwise_jobs, depthwise_vectors : Out
        ``jobs`` and ``vectors`` of `DepthwiseEngineSignature`, where the configuration has one.
    crossbar_vectors : Out
        ``vectors`` of `CrossbarEngineSignature`, where the configuration has a crossbar.
    jobs : Out(stream.Signature(AccumulateJob))
        To the accumulators.
    state : Out(4)
        `UnitState`: what the unit does, or what the next vector waits for.
    busy : Out(1)
        A vector is still to be taken by its engine, or a job by the accumulators.
    """

    instructions: stream.Interface
    semaphores: wiring.PureInterface
    read: wiring.PureInterface
    activations: stream.Interface
    jobs: stream.Interface
    state: Signal
    busy: Signal

    def __init__(self, config, *, block_memories=False):
        self.config = config
        self._block_memories = block_memories
        engine = MatrixEngineSignature(config.rows, config.columns)
        members = {
            "instructions": In(InstructionStream),
            "semaphores": Out(SemaphoreSignature()),
            "read": Out(MemoryReadSignature(vector(config.rows), request_tag(config))),
            "activations": engine.members["activations"].flip(),
            "jobs": Out(stream.Signature(AccumulateJob)),
            "state": Out(4),
            "busy": Out(1),
        }
        if config.depthwise_taps:
            depthwise = DepthwiseEngineSignature(config.rows, config.columns)
            members["depthwise_jobs"] = depthwise.members["jobs"].flip()
            members["depthwise_vectors"] = depthwise.members["vectors"].flip()
        if config.crossbar is not None:
            crossbar = CrossbarEngineSignature(config.rows, config.columns)
            members["crossbar_vectors"] = crossbar.members["vectors"].flip()
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = AddressGenerator(
            run_levels=(0, 1),
            tag=run_tag(self.config),
            address_bits=ceil_log2(self.config.scratchpad_depth),
            coordinate_bits=self.config.coordinate_bits,
            block_memories=self._block_memories,
            registered=self.config.queue_depth > 0,
        )
        rows, columns = self.config.rows, self.config.columns
        passes_in_flight = -(-(rows + columns + MEMORY_CYCLES) // rows) + 2
        engines = {"depthwise": 1, "crossbar": 1}
        m.submodules.jobs = jobs = StreamFifo(
            shape=data.StructLayout({**job_fields(self.config), "overwrite": 1, **engines}),
            depth=passes_in_flight + ROOM_AHEAD,
        )
        m.d.comb += [
            self.jobs.valid.eq(jobs.o.valid),
            jobs.o.ready.eq(self.jobs.ready),
            *(self.jobs.payload[name].eq(jobs.o.payload[name]) for name, _ in AccumulateJob),
        ]

        is_work = self._start(m, generator)

        # A position is a request, and the first of a pass is a job as well. That there is room for
        # one is known the cycle before, since a request begins a long path, and stays so while a
        # request waits.
        has_room = Signal()
        position, run = generator.positions, generator.positions.payload.tag
        request, response = self.read.request, self.read.response
        has_crossbar = self.config.crossbar is not None
        on_crossbar = run.crossbar if has_crossbar else Const(0)
        # A PRODUCT is one pass over all levels, with one job.
        is_first = position.payload.first[:2].all()
        if has_crossbar:
            is_first = (is_first & ~on_crossbar) | position.payload.first.all()
        with m.If(~request.valid | request.ready):
            m.d.sync += has_room.eq(jobs.level < passes_in_flight)
        m.d.comb += [
            request.valid.eq(position.valid & (~is_first | has_room)),
            request.payload.address.eq(position.payload.address),
            request.payload.tag.first.eq(is_first),
            request.payload.tag.inside.eq(position.payload.inside),
            request.payload.tag.padding.eq(run.padding),
            request.payload.tag.depthwise.eq(run.depthwise),
            request.payload.tag.column_end.eq(position.payload.last[0]),
            request.payload.tag.strip_end.eq(position.payload.last[:2].all()),
            position.ready.eq(request.ready & (~is_first | has_room)),
            jobs.i.valid.eq(position.valid & is_first & has_room & request.ready),
            jobs.i.payload.base.eq(run.base),
            jobs.i.payload.rows.eq(run.rows),
            jobs.i.payload.columns.eq(run.columns),
            jobs.i.payload.overwrite.eq(position.payload.first[2:].all() & ~run.accumulate),
            jobs.i.payload.signal.eq(
                Mux(position.payload.last[2:].all() | on_crossbar, run.signal, 0)
            ),
            jobs.i.payload.depthwise.eq(run.depthwise),
            jobs.i.payload.crossbar.eq(on_crossbar),
        ]
        if has_crossbar:
            tag = request.payload.tag
            m.d.comb += [
                tag.crossbar.eq(run.crossbar),
                tag.pixel_end.eq(position.payload.last[:3].all()),
                tag.tile.eq(run.tile),
            ]
        self._deliver(m)

        in_flight = Signal(IN_FLIGHT_BITS)
        requested = request.valid & request.ready
        delivered = response.valid & response.ready
        m.d.sync += in_flight.eq(in_flight + requested - delivered)
        m.d.comb += self.busy.eq(generator.busy | (in_flight != 0) | jobs.o.valid)

        with m.If(response.valid):
            m.d.comb += self.state.eq(
                Mux(response.ready, UnitState.RUNNING, UnitState.WAITING_ENGINE)
            )
        with m.Elif(generator.busy | (in_flight != 0)):
            m.d.comb += self.state.eq(UnitState.WAITING_MEMORY)
        with m.Elif(self.instructions.valid & ~self.semaphores.grant):
            m.d.comb += self.state.eq(UnitState.WAITING_SEMAPHORE)
        with m.Elif(self.instructions.valid & is_work):
            m.d.comb += self.state.eq(UnitState.RUNNING)
        with m.Else():
            # A setting is the work of one cycle, and there is nothing else.
            m.d.comb += self.state.eq(UnitState.IDLE)
        return m

    def _deliver(self, m):
        """Hand the scratchpad's answers to the engines."""
        response, tag = self.read.response, self.read.response.payload.tag
        activation = self.activations
        filled = Signal.like(activation.payload.vector)
        for lane in range(self.config.rows):
            m.d.comb += filled[lane].eq(Mux(tag.inside, response.payload.vector[lane], tag.padding))
        m.d.comb += [
            activation.payload.vector.eq(filled),
            activation.payload.first.eq(tag.first),
        ]
        m.d.comb += [
            activation.valid.eq(response.valid & ~tag.depthwise),
            response.ready.eq(activation.ready),
        ]
        if self.config.crossbar is not None:
            pixels = self.crossbar_vectors
            m.d.comb += [
                pixels.payload.vector.eq(filled),
                pixels.payload.tile.eq(tag.tile),
                pixels.payload.pixel_end.eq(tag.pixel_end),
                pixels.valid.eq(response.valid & tag.crossbar),
            ]
            with m.If(tag.crossbar):
                m.d.comb += [response.ready.eq(pixels.ready), activation.valid.eq(0)]
        if self.config.depthwise_taps:
            strip = self.depthwise_vectors
            m.d.comb += [
                strip.payload.vector.eq(filled),
                strip.payload.column_end.eq(tag.column_end),
                strip.payload.strip_end.eq(tag.strip_end),
                strip.valid.eq(response.valid & tag.depthwise),
            ]
            with m.If(tag.depthwise):
                m.d.comb += response.ready.eq(strip.ready)

    def _start(self, m, generator):
        """Hand the next instruction to the generator; returns whether it isn't a setting."""
        word = self.instructions.payload
        loop, image, matmul = (
            data.View(instruction_layout(kind), word) for kind in (MatrixLoop, MatrixInput, Matmul)
        )
        padding = Signal.like(image.padding, reset_less=True)
        run, setting, bounds = generator.runs, generator.settings, generator.bounds
        m.d.comb += [
            run.payload.address.eq(matmul.address),
            run.payload.y.eq(matmul.y),
            run.payload.x.eq(matmul.x),
            run.payload.counts[0].eq(matmul.columns),
            run.payload.counts[1].eq(matmul.rows),
            run.payload.tag.base.eq(matmul.accumulator),
            run.payload.tag.rows.eq(matmul.rows),
            run.payload.tag.columns.eq(matmul.columns),
            run.payload.tag.accumulate.eq(matmul.accumulate),
            run.payload.tag.signal.eq(matmul.signal),
            run.payload.tag.padding.eq(padding),
            setting.payload.level.eq(loop.level),
            setting.payload.count.eq(loop.count),
            setting.payload.address_step.eq(loop.address_step),
            setting.payload.y_step.eq(loop.y_step),
            setting.payload.x_step.eq(loop.x_step),
            bounds.payload.height.eq(image.height),
            bounds.payload.width.eq(image.width),
        ]
        startable = self.instructions.valid & self.semaphores.grant
        for kind, target in ((Matmul, run), (MatrixLoop, setting), (MatrixInput, bounds)):
            with m.If(is_instruction(word, kind)):
                m.d.comb += [
                    target.valid.eq(startable),
                    self.instructions.ready.eq(self.semaphores.grant & target.ready),
                ]
        is_work = is_instruction(word, Matmul)
        if self.config.depthwise_taps:
            self._start_depthwise(m, run, startable)
            is_work |= is_instruction(word, Depthwise)
        if self.config.crossbar is not None:
            self._start_product(m, generator, startable)
            is_work |= is_instruction(word, Product)
        start = self.instructions.valid & self.instructions.ready
        m.d.comb += self.semaphores.take.eq(start)
        with m.If(self.instructions.valid):
            m.d.comb += self.semaphores.wait.eq(matmul.wait)
        with m.If(start & ~is_work):
            m.d.comb += self.semaphores.signal.eq(matmul.signal)
        with m.If(start & is_instruction(word, MatrixInput)):
            m.d.sync += padding.eq(image.padding)
        return is_work

    def _start_product(self, m, generator, startable):
        """PRODUCT is a run over all levels, the chunk's outermost: a job of its pixels."""
        word, run = self.instructions.payload, generator.runs
        product, loop = (
            data.View(instruction_layout(kind), word) for kind in (Product, MatrixLoop)
        )
        pixels = [Signal(AccumulateJob[name].shape, name=name) for name in ("columns", "rows")]
        with m.If(is_instruction(word, MatrixLoop) & self.instructions.valid):
            with m.If(self.instructions.ready):
                for level, count in zip((3, 4), pixels, strict=True):
                    with m.If(loop.level == level):
                        m.d.sync += count.eq(loop.count)
        with m.If(is_instruction(word, Product)):
            m.d.comb += [
                run.payload.address.eq(product.address),
                run.payload.y.eq(product.y),
                run.payload.x.eq(product.x),
                run.payload.counts[0].eq(product.vectors),
                run.payload.counts[1].eq(product.kernel_columns),
                run.payload.tag.base.eq(product.accumulator),
                run.payload.tag.accumulate.eq(product.accumulate),
                run.payload.tag.columns.eq(pixels[0]),
                run.payload.tag.rows.eq(pixels[1]),
                run.payload.tag.crossbar.eq(1),
                run.payload.tag.tile.eq(product.tile),
                run.valid.eq(startable),
                self.instructions.ready.eq(self.semaphores.grant & run.ready),
            ]

    def _start_depthwise(self, m, run, startable):
        """DEPTHWISE is a run over its strip, and a job of the depthwise engine."""
        word = self.instructions.payload
        depthwise, window = (
            data.View(instruction_layout(kind), word) for kind in (Depthwise, DepthwiseWindow)
        )
        job = self.depthwise_jobs
        kept = Signal(DepthwiseJob["window"].shape, reset_less=True)
        m.d.comb += [
            job.payload.rows.eq(depthwise.rows),
            job.payload.columns.eq(depthwise.columns),
            job.payload.window.eq(kept),
        ]
        with m.If(is_instruction(word, DepthwiseWindow)):
            # The engine's jobs carry the window: it may change at any time.
            m.d.comb += self.instructions.ready.eq(self.semaphores.grant)
            with m.If(startable):
                m.d.sync += [kept[name].eq(window[name]) for name, _ in kept.shape()]
        with m.If(is_instruction(word, Depthwise)):
            m.d.comb += [
                run.payload.address.eq(depthwise.address),
                run.payload.y.eq(depthwise.y),
                run.payload.x.eq(depthwise.x),
                run.payload.counts[0].eq(depthwise.strip_rows),
                run.payload.counts[1].eq(depthwise.strip_columns),
                run.payload.alone.eq(1),
                run.payload.tag.base.eq(depthwise.accumulator),
                run.payload.tag.accumulate.eq(0),
                run.payload.tag.rows.eq(depthwise.columns),
                run.payload.tag.columns.eq(depthwise.rows),
                run.payload.tag.depthwise.eq(1),
                run.valid.eq(startable & job.ready),
                job.valid.eq(startable & run.ready),
                self.instructions.ready.eq(self.semaphores.grant & run.ready & job.ready),
            ]
