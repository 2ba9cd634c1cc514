"""The array of slow clocks: without registers between its cells."""

from amaranth.hdl import Module, Signal, signed

from celosia.hdl.npu.matrix_array import MatrixArray
from celosia.hdl.npu.multipliers import MultiplierBank

__all__ = ["BroadcastArray"]


class BroadcastArray(MatrixArray):
    """Weight-stationary array whose cells all see a vector in the same cycle.

    Computes what `SystolicArray` does with a third of its registers: each activation goes to all
    cells of its row, and a column's products are added within a cycle.

    Throughput, back-pressure, reset, parameters and members: as of `MatrixArray`.
    """

    latency = 3

    def elaborate(self, platform):
        m = Module()
        advance, take_first, selected_row = self._handshake(m)
        m.submodules.multipliers = multipliers = MultiplierBank(
            products=self.rows * self.columns, plan=self._multipliers, together=True
        )
        m.d.comb += [
            multipliers.enable.eq(advance),
            multipliers.take.eq(take_first.replicate(self.rows * self.columns)),
        ]
        terms = [[] for _ in range(self.columns)]
        for r in range(self.rows):
            for c in range(self.columns):
                # The next tile's weight, which the multiplier takes with the first vector.
                weight = Signal(signed(8), name=f"weight_{r}_{c}", reset_less=True)
                with m.If(selected_row[r]):
                    m.d.sync += weight.eq(self.weights.payload[c])
                place = r * self.columns + c
                m.d.comb += [
                    multipliers.a[place].eq(self.activations.payload.vector[r]),
                    multipliers.b[place].eq(weight),
                ]
                terms[c].append(multipliers.product[place])
        for c in range(self.columns):
            m.d.comb += self.sums.payload[c].eq(self._added(m, advance, terms[c], c))
        return m

    def _added(self, m, advance, terms, column):
        """The sum of a column's products; the registers of pairs cost nothing behind adders."""
        pairs = []
        for first in range(0, self.rows, 2):
            value = sum(terms[first : first + 2])
            pair = Signal(value.shape(), name=f"pair_{column}_{first}", reset_less=True)
            with m.If(advance):
                m.d.sync += pair.eq(value)
            pairs.append(pair)
        return sum(pairs)
