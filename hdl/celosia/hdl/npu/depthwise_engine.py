"""The depthwise engine: a few neighbouring taps in every lane at once."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from celosia.golden.config import DEPTHWISE_STRIP_ROWS, NpuConfig
from celosia.hdl.npu.depthwise_products import DepthwiseProducts
from celosia.hdl.npu.depthwise_weights import DepthwiseWeights
from celosia.hdl.npu.interfaces import DepthwiseEngineSignature, DepthwiseJob
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierPlan
from celosia.hdl.npu.pipeline import delayed_while
from celosia.hdl.npu.strip_buffer import StripBuffer
from celosia.hdl.npu.strip_loader import StripLoader
from celosia.hdl.npu.window_walker import WindowWalker
from celosia.hdl.stream import StreamFifo

__all__ = ["DepthwiseEngine"]

WAITING_JOBS = 3
"""In front of the loader, and between it and the walker."""
READ_CYCLES = 2
"""From a step to its operands: a memory's register, and one behind it, since a block RAM takes half
of a fast clock's cycle and multipliers lie where they are."""


class DepthwiseEngine(wiring.Component):
    """Sums of products over windows in min(R, C) lanes, T taps a cycle.

    Throughput: kernel rows * ceil(kernel columns / T) cycles for a sum, whatever the strides,
    without a gap between sums and between jobs, as long as columns, weights and jobs are there, but
    a cycle behind a job of one step; a vector is taken every cycle. Latency: the first sum of a
    strip in an empty buffer is offered 11 cycles after the last vector of its window's columns was
    taken, and as many more as its window has steps.

    Back-pressure: ``vectors`` are taken while the strip buffer has a free column: it has 8, or 16
    where T > 4, and keeps those of the window at hand. While ``sums`` offers a beat that is not
    taken the computation stands still; loading goes on. The ``ready`` of all inputs depends on
    registers only.

    Reset forgets jobs, columns and weights.

    Parameters
    ----------
    config : NpuConfig
        Sizes; T must not be 0.
    multipliers : MultiplierPlan
        Form of the multipliers.

    Members
    -------
    jobs, vectors, weights, sums
        See `DepthwiseEngineSignature`.
    computing : Out(1)
        Taps are taken in this cycle.
    waiting : Out(1)
        A job waits for its weights and for nothing else.
    """

    def __init__(self, config: NpuConfig, multipliers: MultiplierPlan = EXPRESSIONS) -> None:
        self._config = config
        self._multipliers = multipliers
        engine = DepthwiseEngineSignature(config.rows, config.columns)
        super().__init__({**engine.members, "computing": Out(1), "waiting": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        taps, columns, lanes = (
            config.depthwise_taps,
            config.depthwise_columns,
            config.depthwise_lanes,
        )
        m.submodules.jobs = jobs = StreamFifo(shape=DepthwiseJob, depth=WAITING_JOBS)
        m.submodules.loader = loader = StripLoader(config)
        m.submodules.opened = opened = StreamFifo(shape=DepthwiseJob, depth=WAITING_JOBS)
        # That the walker takes a job is known at the end of a long path from `sums.ready`.
        m.submodules.next_job = next_job = StreamFifo(shape=DepthwiseJob, depth=1)
        m.submodules.walker = walker = WindowWalker(taps=taps, columns=columns)
        m.submodules.buffer = buffer = StripBuffer(
            taps=taps, columns=columns, rows=DEPTHWISE_STRIP_ROWS, lanes=lanes
        )
        m.submodules.weights = weights = DepthwiseWeights(config)
        m.submodules.products = products = DepthwiseProducts(
            taps=taps,
            lanes=lanes,
            columns=config.columns,
            multipliers=self._multipliers,
        )

        wiring.connect(m, wiring.flipped(self.jobs), jobs.i)
        wiring.connect(m, jobs.o, loader.jobs)
        wiring.connect(m, wiring.flipped(self.vectors), loader.vectors)
        wiring.connect(m, loader.opened, opened.i)
        wiring.connect(m, opened.o, next_job.i)
        wiring.connect(m, next_job.o, walker.jobs)
        wiring.connect(m, wiring.flipped(self.weights), weights.weights)
        wiring.connect(m, products.sums, wiring.flipped(self.sums))

        advance = products.advance
        m.d.comb += [
            buffer.write.eq(loader.write),
            buffer.write_column.eq(loader.write_column),
            buffer.write_row.eq(loader.write_row),
            buffer.vector.eq(loader.vector),
            loader.release.eq(walker.release),
            walker.written.eq(loader.written),
            walker.complete.eq(weights.complete),
            walker.ready.eq(advance),
            buffer.enable.eq(products.moves),
            buffer.column.eq(walker.column),
            buffer.row.eq(walker.row),
            weights.enable.eq(products.moves),
            weights.word.eq(walker.word),
            weights.take.eq(walker.valid & walker.take & advance),
            self.computing.eq(walker.valid & advance),
            self.waiting.eq(walker.wants_weights),
        ]
        for name, memory in (("vectors", buffer), ("weights", weights)):
            operands = delayed_while(m, products.moves, memory.o, READ_CYCLES - 1, name)
            m.d.comb += getattr(products, name).eq(operands)
        for name in ("valid", "first", "final"):
            value = delayed_while(
                m, advance, getattr(walker, name), READ_CYCLES, name, reset_less=name != "valid"
            )
            m.d.comb += getattr(products, name).eq(value)
        return m
