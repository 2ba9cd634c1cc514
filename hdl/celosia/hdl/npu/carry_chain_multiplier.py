"""An int8 multiplier of LUTs: a pipelined tree of carry chains."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from celosia.hdl.family import Family
from celosia.hdl.npu.ecp5_product_row import ROW_BITS, Ecp5ProductRow
from celosia.hdl.npu.multiplier_lane import PRODUCT_BITS, multiplier_lane

__all__ = ["CarryChainMultiplier"]


class CarryChainMultiplier(wiring.Component):
    """One product of two int8 in the form that `multiplier_lane` describes.

    Each pair of b's bits gives a row, a multiple of a from 0 to 3 (from -2 to 1 for the last pair,
    which has the sign); two rows make half a product, two halves the product. That is seven adders
    on carry chains of 9 to 12 bits. The first register stands behind the rows, so that the factors
    should come from registers. On an ECP5 the rows are primitives (`Ecp5ProductRow`), elsewhere
    expressions.

    Parameters
    ----------
    family : Family
        Of the FPGA.

    Members
    -------
    enable : In(1)
        Move at this clock edge.
    lane_0 : In(multiplier_lane())
        Factors and product.
    """

    LANES = 1

    def __init__(self, family):
        self._family = family
        super().__init__({"enable": In(1), "lane_0": In(multiplier_lane())})

    def elaborate(self, platform):
        m = Module()
        lane = self.lane_0
        held = Signal(signed(8), reset_less=True)
        b = Mux(lane.take, lane.b, held)
        with m.If(self.enable):
            m.d.sync += held.eq(b)

        rows = []
        for number, value in enumerate(self._rows(m, lane.a, b)):
            row = Signal(signed(ROW_BITS), name=f"row_{number}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += row.eq(value)
            rows.append(row)

        low = _sum(rows[0], rows[1], 2, 12)
        high = _sum(rows[2], rows[3], 2, 12)
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        with m.If(self.enable):
            m.d.sync += product.eq(_sum(low, high, 4, PRODUCT_BITS))
        m.d.comb += lane.product.eq(product)
        return m

    def _rows(self, m, a, b):
        """a times each two bits of b, of which the last one counts -2."""
        if self._family is Family.ECP5:
            rows = []
            for number in range(4):
                row = Ecp5ProductRow(negative=number == 3)
                m.submodules[f"product_row_{number}"] = row
                m.d.comb += [row.a.eq(a), row.b.eq(b[2 * number : 2 * number + 2])]
                rows.append(row.row)
            return rows
        multiples = [(a.as_unsigned() & bit.replicate(8)).as_signed() for bit in b]
        rows = [_sum(*multiples[place : place + 2], 1, ROW_BITS) for place in (0, 2, 4)]
        one, two = multiples[6:]
        upper = one[1:].as_signed() - two
        return [*rows, Cat(one[:1], upper).as_signed()]


def _sum(low, high, places, width):
    """``low + (high << places)``, which fits ``width`` bits.

    The places that only ``low`` has are no part of the carry chain.
    """
    upper = (low[places:].as_signed() + high)[: width - places]
    return Cat(low[:places], upper).as_signed()
