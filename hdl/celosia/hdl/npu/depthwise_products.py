"""The arithmetic of the depthwise engine: T products to a lane and cycle, summed over a window."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.config import DEPTHWISE_WORDS
from celosia.hdl.npu.clock_network import moved_later
from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierBank
from celosia.hdl.npu.pipeline import delayed, delayed_while, held_unless

__all__ = ["DepthwiseProducts"]

PIPELINE_CYCLES = 5


class DepthwiseProducts(wiring.Component):
    """Multiplies T vectors with T weight vectors, lane by lane, and adds up the steps of an output.

    Exact: a window has at most 32 T products. Throughput: a step every cycle with ``advance``.
    Latency: a sum is offered 5 such cycles after its final step.

    Back-pressure: while ``sums`` offers a beat that is not taken no step is taken; ``advance`` is
    low then and depends combinationally on ``sums.ready``. What is computed stands still a cycle
    later. Reset forgets what is under way.

    Parameters
    ----------
    taps : int
        T.
    lanes : int
        Lanes of the operands.
    columns : int
        C, lanes of a sum; those beyond ``lanes`` are 0.
    multipliers : MultiplierPlan
        Form of the multipliers.

    Members
    -------
    advance : Out(1)
        A step is taken at this clock edge.
    moves : Out(1)
        ``advance`` in the cycle before, for enables of registers and memories only: operands move.
    valid, first, final : In(1)
        There is a step; it is the first or the last one of its output.
    vectors, weights : In(T x vector(lanes))
        Operands of the step in the cycle before.
    sums : Out(stream.Signature(vector(columns, 32)))
        A sum for each output.
    """

    def __init__(self, *, taps, lanes, columns, multipliers=EXPRESSIONS):
        self._multipliers = multipliers
        self.taps = taps
        self.lanes = lanes
        self.columns = columns
        operands = data.ArrayLayout(vector(lanes), taps)
        super().__init__(
            {
                "advance": Out(1),
                "moves": Out(1),
                "valid": In(1),
                "first": In(1),
                "final": In(1),
                "vectors": In(operands),
                "weights": In(operands),
                "sums": Out(stream.Signature(vector(columns, 32))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        advance = self.advance
        m.d.comb += advance.eq(~self.sums.valid | self.sums.ready)
        # As in the array: what is all over the chip moves one cycle later, and shows the next sum
        # already while it stands still.
        moves, enable = moved_later(m, advance, self._multipliers.family)
        m.d.comb += self.moves.eq(enable)
        valid = delayed_while(m, advance, self.valid, 3, "valid", reset_less=False)
        accumulate = delayed(m, valid & advance, 1, "accumulate")
        first = delayed(m, delayed_while(m, advance, self.first, 3, "first"), 1, "first_moved")
        final = delayed_while(m, advance, self.final, 3, "final")
        ended = delayed_while(m, advance, valid & final, 1, "ended", reset_less=False)
        with m.If(advance):
            m.d.sync += self.sums.valid.eq(ended)

        step_bits = PRODUCT_BITS + ceil_log2(self.taps)
        total_bits = step_bits + ceil_log2(DEPTHWISE_WORDS)
        count = self.lanes * self.taps
        m.submodules.multipliers = multipliers = MultiplierBank(
            products=count, plan=self._multipliers
        )
        m.d.comb += [multipliers.enable.eq(enable), multipliers.take.eq(enable.replicate(count))]
        for lane in range(self.lanes):
            products = []
            for tap in range(self.taps):
                place = lane * self.taps + tap
                m.d.comb += [
                    multipliers.a[place].eq(self.vectors[tap][lane]),
                    multipliers.b[place].eq(self.weights[tap][lane]),
                ]
                products.append(multipliers.product[place])
            of_step = Signal(signed(step_bits), name=f"of_step_{lane}", reset_less=True)
            total = Signal(signed(total_bits), name=f"total_{lane}", reset_less=True)
            with m.If(enable):
                m.d.sync += of_step.eq(sum(products))
            with m.If(accumulate):
                m.d.sync += total.eq(Mux(first, 0, total) + of_step)
            m.d.comb += self.sums.payload[lane].eq(held_unless(m, moves, total, lane))
        return m
