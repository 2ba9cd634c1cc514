"""The array of slow clocks: without registers between its cells."""

from amaranth.hdl import Module, Signal, signed

from celosia.hdl.npu.matrix_array import MatrixArray
from celosia.hdl.npu.product_pairs import ProductPairs

__all__ = ["BroadcastArray"]


class BroadcastArray(MatrixArray):
    """Weight-stationary array whose cells all see a vector in the same cycle.

    Computes what `SystolicArray` does with a third of its registers: each activation goes to all
    cells of its row, and a column's products are added in two steps.

    Throughput, back-pressure, reset, parameters and members: as of `MatrixArray`.
    """

    latency = 3

    def elaborate(self, platform):
        m = Module()
        advance, take_first, selected_row = self._handshake(m)
        halves = -(-self.rows // 2)
        m.submodules.multipliers = multipliers = ProductPairs(
            pairs=halves * self.columns, plan=self._multipliers
        )
        m.d.comb += [multipliers.enable.eq(advance), multipliers.take.eq(take_first)]
        for c in range(self.columns):
            for r in range(self.rows):
                # The next tile's weight, which the multiplier takes with the first vector.
                weight = Signal(signed(8), name=f"weight_{r}_{c}", reset_less=True)
                with m.If(selected_row[r]):
                    m.d.sync += weight.eq(self.weights.payload[c])
                place = 2 * halves * c + r
                m.d.comb += [
                    multipliers.a[place].eq(self.activations.payload.vector[r]),
                    multipliers.b[place].eq(weight),
                ]
            pairs = [multipliers.sum[halves * c + half] for half in range(halves)]
            m.d.comb += self.sums.payload[c].eq(sum(pairs))
        return m
