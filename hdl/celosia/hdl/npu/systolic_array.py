"""The systolic array: the exact matrix engine."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.utils import ceil_log2

from celosia.hdl.npu.interfaces import MatrixEngineSignature
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierBank
from celosia.hdl.npu.pipeline import delayed, delayed_while
from celosia.hdl.npu.processing_element import ProcessingElement

__all__ = ["SystolicArray"]


class SystolicArray(wiring.Component):
    """Weight-stationary array of ``rows`` x ``columns`` int8 multiply-accumulate cells.

    Computes, for each activation vector x, the sums x . W with the tile W in use. Exact: a sum of
    up to 64 products stays below 2^21 and arrives sign-extended to 32 bits.

    Throughput: one vector a cycle, without a gap between passes that have at least ``rows``
    vectors; shorter passes take ``rows`` cycles each, because a tile is loaded one row a cycle.
    Latency: a vector that is taken in cycle t is offered as sums in cycle t + rows + columns + 1
    (``latency``), counted in cycles in which the array moves.

    Back-pressure: while ``sums`` offers a beat that is not taken, everything stands still and
    neither input is ready. ``activations.ready`` depends on the ``first`` of its payload, which
    waits for a complete tile. ``weights.ready`` is low while a complete tile waits for its pass,
    up to the cycle in which the pass's first vector is taken: that cycle takes row 0 of the tile
    after it. Both depend combinationally on ``sums.ready``, and ``weights.ready`` on
    ``activations``.

    Reset forgets vectors and rows under way; the next vector must be the first of a pass.

    Parameters
    ----------
    rows : int
        R, at least 2.
    columns : int
        C, at least 1.
    multipliers : MultiplierPlan
        Form of the multipliers, those of the first row first.

    Members
    -------
    weights, activations, sums
        See `MatrixEngineSignature`.
    """

    weights: stream.Interface
    activations: stream.Interface
    sums: stream.Interface

    def __init__(self, *, rows, columns, multipliers=EXPRESSIONS):
        if not isinstance(rows, int) or rows < 2:
            raise ValueError(f"systolic array rows must be an integer of at least 2, not {rows!r}")
        if not isinstance(columns, int) or columns < 1:
            raise ValueError(f"systolic array columns must be a positive integer, not {columns!r}")
        self.rows = rows
        self.columns = columns
        self._multipliers = multipliers
        super().__init__(MatrixEngineSignature(rows, columns))

    @property
    def latency(self):
        """Cycles in which the array moves, from taking a vector to offering its sums."""
        return self.rows + self.columns + 1

    # What is handed in and out moves with `advance`, which depends on `sums.ready`. The cells, all
    # over the chip, would get it too late in the cycle: they move one cycle later, with `moves`, a
    # register. While they don't move they show the next beat already, so the one on offer is held.
    # The cycle is made up for at the top, where row 1 adds the products of row 0 to its own.
    #
    # Time in the array is skewed. A vector that enters in cycle t is at the input of cell (r, c) in
    # cycle t + s(r) + c, with s(r) = max(r - 1, 0), counted in cycles of the cells. There, if it is
    # the first of its pass, the cell's weight in use takes the shadow's value. A weight row that
    # enters in cycle u is written to the shadow of column c in cycle u + c. Hence:
    # - A tile is in time: its row r entered in cycle t - R + r at the latest, because all R rows
    #   entered before t, one a cycle. t - R + r + c is before t + s(r) + c where R >= 2.
    # - The next tile is not early: its row r enters in cycle t + r at the earliest, and writes the
    #   shadow not before the cycle at whose end the old value is taken.
    # Both hold whatever the gaps, because all of it moves in the same cycles.

    def elaborate(self, platform):
        m = Module()
        rows, columns = self.rows, self.columns
        advance = Signal()
        take_activation = Signal()
        take_first = Signal()
        take_row = Signal()
        tile_complete = Signal()
        next_row = Signal(range(rows))

        first = self.activations.payload.first
        m.d.comb += [
            advance.eq(~self.sums.valid | self.sums.ready),
            self.activations.ready.eq(advance & (~first | tile_complete)),
            take_activation.eq(self.activations.valid & self.activations.ready),
            take_first.eq(take_activation & first),
            # As with `take_first`, which would come late.
            self.weights.ready.eq(advance & (~tile_complete | (self.activations.valid & first))),
            take_row.eq(self.weights.valid & self.weights.ready),
        ]
        with m.If(take_first):
            m.d.sync += tile_complete.eq(0)
        with m.If(take_row):
            m.d.sync += next_row.eq(next_row + 1)
            with m.If(next_row == rows - 1):
                m.d.sync += [next_row.eq(0), tile_complete.eq(1)]
        valid = delayed_while(m, advance, take_activation, self.latency, "valid", reset_less=False)
        m.d.comb += self.sums.valid.eq(valid)

        moves = Signal()
        m.d.sync += moves.eq(advance)

        skews = [max(r - 1, 0) for r in range(rows)]
        takes, swap = [], take_first
        for place in range(skews[-1] + columns):
            takes.append(delayed(m, swap & advance, 1, f"take_{place}", reset_less=False))
            swap = delayed_while(m, advance, swap, 1, f"swap_{place}", reset_less=False)
        selected_row = Signal(rows)
        m.d.comb += selected_row.eq(take_row << next_row)
        load = delayed(m, selected_row, 1, "load", reset_less=False)
        weights, loads, activations = [], [], []
        for c in range(columns):
            weight = delayed(m, self.weights.payload[c], 1, f"weight_{c}")
            weights.append(delayed_while(m, moves, weight, c, f"weight_{c}_moved"))
            loads.append(load)
            load = delayed_while(m, moves, load, 1, f"load_{c}", reset_less=False)
        for r in range(rows):
            activation = delayed(m, self.activations.payload.vector[r], 1, f"activation_{r}")
            activations.append(
                delayed_while(m, moves, activation, skews[r], f"activation_{r}_moved")
            )

        m.submodules.multipliers = multipliers = MultiplierBank(
            products=rows * columns, plan=self._multipliers
        )
        m.d.comb += multipliers.enable.eq(moves)
        sums = []
        for r in range(rows):
            # No wider than r + 1 products need: wider registers would hold copies of the sign.
            sum_bits = PRODUCT_BITS + ceil_log2(r + 1)
            activation = activations[r]
            for c in range(columns):
                m.submodules[f"pe_{r}_{c}"] = element = ProcessingElement(sum_bits=sum_bits)
                place = r * columns + c
                m.d.comb += [
                    multipliers.a[place].eq(activation),
                    multipliers.b[place].eq(element.shadow),
                    multipliers.take[place].eq(takes[skews[r] + c]),
                    element.enable.eq(moves),
                    element.i_activation.eq(activation),
                    element.load.eq(loads[c][r]),
                    element.weight.eq(weights[c]),
                ]
                activation = element.o_activation
                if r == 0:  # its products are the sums, without a register
                    sums.append(multipliers.product[place])
                else:
                    m.d.comb += [
                        element.product.eq(multipliers.product[place]),
                        element.i_sum.eq(sums[c]),
                    ]
                    sums[c] = element.o_sum

        for c in range(columns):
            aligned = delayed_while(m, moves, sums[c], columns - 1 - c, f"sum_{c}")
            held = Signal.like(aligned, name=f"held_{c}", reset_less=True)
            offered = Signal.like(aligned, name=f"offered_{c}")
            m.d.comb += [
                offered.eq(Mux(moves, aligned, held)),
                self.sums.payload[c].eq(offered),
            ]
            m.d.sync += held.eq(offered)
        return m
