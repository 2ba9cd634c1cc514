"""What POST's vector operations take from the scratchpad: ADD's and MUL's operands, POOL's taps."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import INSTRUCTION_BITS, Add, Pool, PostInput, PostLoop, Reduction
from celosia.hdl.npu.address_generator import AddressGenerator
from celosia.hdl.npu.interfaces import (
    MemoryReadSignature,
    field_width,
    instruction_layout,
    vector,
)
from celosia.hdl.npu.post_readers import OperandReader, OperandRequest
from celosia.hdl.npu.tap_reducer import SUM_BITS, Tap, TapReducer
from celosia.hdl.stream import StreamFifo

__all__ = ["VectorOperands"]

WINDOW_LEVELS = 0b11
"""Loop levels that walk a window."""
WAITING_REQUESTS = 3
"""Between what asks and the scratchpad: whether MATRIX leaves it a cycle is known late in that."""
VECTOR_LEVEL = 2
"""The loop level that walks the channel vectors."""
COLUMN_LEVEL, ROW_LEVEL = 3, 4


class VectorOperands(wiring.Component):
    """Reads the scratchpad for ADD, MUL and POOL, and keeps what their settings set.

    Throughput: a read a cycle. Back-pressure: the scratchpad may refuse requests and answer as late
    as it likes; results wait for `o`. Reset forgets all but the settings.

    Parameters
    ----------
    rows : int
        R, lanes of a vector.

    Members
    -------
    word : In(128)
        The instruction that the others are about.
    sets_loop, sets_image : In(1)
        It is a POST_LOOP or a POST_INPUT that starts.
    elementwise, pools : In(1)
        It is an ADD or MUL, or a POOL, that starts.
    pairs : In(1)
        What is at work takes pairs of operands, not windows.
    vectors : Out(16)
        POOL's channel vectors.
    scratchpad : Out(MemoryReadSignature(R bytes, Tap))
        Reads.
    o : Out(stream.Signature(vector(R, 32)))
        Pairs, sums or maxima.
    """

    scratchpad: wiring.PureInterface
    o: stream.Interface

    def __init__(self, *, rows):
        self._rows = rows
        super().__init__(
            {
                "word": In(INSTRUCTION_BITS),
                "sets_loop": In(1),
                "sets_image": In(1),
                "elementwise": In(1),
                "pools": In(1),
                "pairs": In(1),
                "vectors": Out(field_width(PostLoop, "count")),
                "scratchpad": Out(MemoryReadSignature(vector(rows), Tap)),
                "o": Out(stream.Signature(vector(rows, SUM_BITS))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.operands = operands = OperandReader()
        m.submodules.windows = windows = AddressGenerator(
            run_levels=(COLUMN_LEVEL, ROW_LEVEL), overlaps=False
        )
        m.submodules.reducer = reducer = TapReducer(lanes=self._rows)
        wiring.connect(m, reducer.o, wiring.flipped(self.o))
        m.d.comb += reducer.pair.eq(self.pairs)
        self._start(m, operands, windows, reducer)

        # Only one of both asks at a time.
        m.submodules.requests = requests = StreamFifo(shape=OperandRequest, depth=WAITING_REQUESTS)
        wiring.connect(m, requests.o, wiring.flipped(self.scratchpad.request))
        request, response = requests.i, self.scratchpad.response
        position = windows.positions
        m.d.comb += [
            request.valid.eq(operands.o.valid | position.valid),
            operands.o.ready.eq(request.ready),
            position.ready.eq(request.ready),
            reducer.i.valid.eq(response.valid),
            reducer.i.payload.vector.eq(response.payload.vector),
            reducer.i.payload.tag.eq(response.payload.tag),
            response.ready.eq(reducer.i.ready),
        ]
        tag = request.payload.tag
        with m.If(self.pairs):  # a register, where who asks is known later
            m.d.comb += request.payload.eq(operands.o.payload)
        with m.Else():
            m.d.comb += [
                request.payload.address.eq(position.payload.address),
                tag.first.eq((position.payload.first & WINDOW_LEVELS) == WINDOW_LEVELS),
                tag.final.eq((position.payload.last & WINDOW_LEVELS) == WINDOW_LEVELS),
                tag.outside.eq(~position.payload.inside),
            ]
        return m

    def _start(self, m, operands, windows, reducer):
        """Settings, and runs of what reads."""
        loop, image, pool, add = (
            data.View(instruction_layout(kind), self.word)
            for kind in (PostLoop, PostInput, Pool, Add)
        )
        m.d.comb += [
            windows.settings.valid.eq(self.sets_loop),
            windows.bounds.valid.eq(self.sets_image),
            windows.bounds.payload.height.eq(image.height),
            windows.bounds.payload.width.eq(image.width),
            operands.runs.valid.eq(self.elementwise),
            operands.runs.payload.a.eq(add.a),
            operands.runs.payload.b.eq(add.b),
            operands.runs.payload.count.eq(add.count),
            operands.runs.payload.b_vectors.eq(add.b_vectors),
            windows.runs.valid.eq(self.pools),
            windows.runs.payload.address.eq(pool.address),
            windows.runs.payload.y.eq(pool.y),
            windows.runs.payload.x.eq(pool.x),
            windows.runs.payload.counts[0].eq(pool.columns),
            windows.runs.payload.counts[1].eq(pool.rows),
        ]
        m.d.comb += [
            windows.settings.payload[name].eq(loop[name])
            for name in ("level", "count", "address_step", "y_step", "x_step")
        ]
        vectors = Signal.like(loop.count, reset_less=True)
        padding = Signal.like(reducer.padding, reset_less=True)
        maximum = Signal(reset_less=True)
        with m.If(self.sets_loop & (loop.level == VECTOR_LEVEL)):
            m.d.sync += vectors.eq(loop.count)
        with m.If(self.sets_image):
            m.d.sync += [
                padding.eq(image.padding),
                maximum.eq(image.reduction == Reduction.MAXIMUM),
            ]
        m.d.comb += [
            self.vectors.eq(vectors),
            reducer.padding.eq(padding),
            reducer.maximum.eq(maximum),
        ]
