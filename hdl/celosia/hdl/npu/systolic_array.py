"""The systolic array: the exact matrix engine."""

from amaranth.hdl import Module
from amaranth.utils import ceil_log2

from celosia.hdl.npu.clock_network import moved_later
from celosia.hdl.npu.matrix_array import MatrixArray
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS
from celosia.hdl.npu.multipliers import MultiplierBank
from celosia.hdl.npu.pipeline import delayed, delayed_while, held_unless
from celosia.hdl.npu.processing_element import ProcessingElement

__all__ = ["SystolicArray"]


class SystolicArray(MatrixArray):
    """Weight-stationary array of ``rows`` x ``columns`` int8 multiply-accumulate cells.

    Computes, for each activation vector x, the sums x . W with the tile W in use. Exact: a sum of
    up to 64 products stays below 2^21 and arrives sign-extended to 32 bits.

    Throughput, back-pressure, reset, parameters and members: as of `MatrixArray`. Latency: a vector
    that is taken in cycle t is offered as sums in cycle t + rows + columns + 1, counted in cycles
    in which the array moves.
    """

    @property
    def latency(self):
        """Cycles in which the array moves, from taking a vector to offering its sums."""
        return self.rows + self.columns + 1

    # What is handed in and out moves with `advance`, which depends on `sums.ready`. The cells, all
    # over the chip, would get it too late in the cycle: they move one cycle later, with `moves`.
    # While they don't move they show the next beat already, so the one on offer is held. The cycle
    # is made up for at the top, where row 1 adds the products of row 0 to its own.
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
        advance, take_first, selected_row = self._handshake(m)
        moves, enable = moved_later(m, advance, self._multipliers.family)

        skews = [max(r - 1, 0) for r in range(rows)]
        takes, swap = [], take_first
        for place in range(skews[-1] + columns):
            takes.append(delayed(m, swap & advance, 1, f"take_{place}", reset_less=False))
            swap = delayed_while(m, advance, swap, 1, f"swap_{place}", reset_less=False)
        load = delayed(m, selected_row, 1, "load", reset_less=False)
        weights, loads, activations = [], [], []
        for c in range(columns):
            weight = delayed(m, self.weights.payload[c], 1, f"weight_{c}")
            weights.append(delayed_while(m, enable, weight, c, f"weight_{c}_moved"))
            loads.append(load)
            load = delayed_while(m, enable, load, 1, f"load_{c}", reset_less=False)
        for r in range(rows):
            activation = delayed(m, self.activations.payload.vector[r], 1, f"activation_{r}")
            activations.append(
                delayed_while(m, enable, activation, skews[r], f"activation_{r}_moved")
            )

        plan = self._multipliers
        sums = []
        for r in range(rows):
            # No wider than r + 1 products need: wider registers would hold copies of the sign.
            sum_bits = PRODUCT_BITS + ceil_log2(r + 1)
            activation = activations[r]
            multipliers = MultiplierBank(products=columns, plan=plan)
            m.submodules[f"multipliers_{r}"] = multipliers
            m.d.comb += multipliers.enable.eq(enable)
            plan = plan.after(columns)
            for c in range(columns):
                m.submodules[f"pe_{r}_{c}"] = element = ProcessingElement(sum_bits=sum_bits)
                m.d.comb += [
                    multipliers.a[c].eq(activation),
                    multipliers.b[c].eq(element.shadow),
                    multipliers.take[c].eq(takes[skews[r] + c]),
                    element.enable.eq(enable),
                    element.i_activation.eq(activation),
                    element.load.eq(loads[c][r] & moves),
                    element.weight.eq(weights[c]),
                ]
                activation = element.o_activation
                if r == 0:  # its products are the sums, without a register
                    sums.append(multipliers.product[c])
                else:
                    m.d.comb += [
                        element.product.eq(multipliers.product[c]),
                        element.i_sum.eq(sums[c]),
                    ]
                    sums[c] = element.o_sum

        for c in range(columns):
            aligned = delayed_while(m, enable, sums[c], columns - 1 - c, f"sum_{c}")
            m.d.comb += self.sums.payload[c].eq(held_unless(m, moves, aligned, c))
        return m
