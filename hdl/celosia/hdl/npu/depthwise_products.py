"""The arithmetic of the depthwise engine: T products to a lane and cycle, summed over a window."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.config import DEPTHWISE_WORDS
from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierBank
from celosia.hdl.npu.pipeline import delayed_while

__all__ = ["DepthwiseProducts"]

PIPELINE_CYCLES = 4


class DepthwiseProducts(wiring.Component):
    """Multiplies T vectors with T weight vectors, lane by lane, and adds up the steps of an output.

    Exact: a window has at most 32 T products. Throughput: a step every enabled cycle. Latency: a
    sum is offered 4 enabled cycles after its final step.

    Back-pressure: while ``sums`` offers a beat that is not taken nothing moves; ``advance`` is low
    then and depends combinationally on ``sums.ready``. Reset forgets what is under way.

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
        Everything moves at this clock edge.
    valid, first, final : In(1)
        There is a step; it is the first or the last one of its output.
    vectors, weights : In(T x vector(lanes))
        Its operands.
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
        valid = delayed_while(m, advance, self.valid, 3, "valid", reset_less=False)
        first = delayed_while(m, advance, self.first, 3, "first")
        final = delayed_while(m, advance, self.final, 3, "final")
        with m.If(advance):
            m.d.sync += self.sums.valid.eq(valid & final)

        step_bits = PRODUCT_BITS + ceil_log2(self.taps)
        total_bits = step_bits + ceil_log2(DEPTHWISE_WORDS)
        count = self.lanes * self.taps
        m.submodules.multipliers = multipliers = MultiplierBank(
            products=count, plan=self._multipliers
        )
        m.d.comb += [multipliers.enable.eq(advance), multipliers.take.eq(advance.replicate(count))]
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
            with m.If(advance):
                m.d.sync += of_step.eq(sum(products))
                with m.If(valid):
                    m.d.sync += total.eq(Mux(first, 0, total) + of_step)
            m.d.comb += self.sums.payload[lane].eq(total)
        return m
