"""A number times two bits, on an ECP5's carry chain."""

from collections.abc import Callable

from amaranth.hdl import Const, Instance, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ROW_BITS", "Ecp5ProductRow"]

ROW_BITS = 10
"""Of an int8 times two bits: places 0 to 8, and the sign."""


class Ecp5ProductRow(wiring.Component):
    """An int8 times the number that two bits stand for, in five CCU2C and no LUT beside them.

    Half a CCU2C adds two bits, each of which is a bit of ``a`` if a bit of ``b`` is set: its LUT4
    says whether they differ, ``(A and B) xor (C and D)``, and where they don't the carry is what
    the LUT4 says of A and B while C and D are 0 (Lattice FPGA-DS-02012, ECP5 family data sheet,
    slices; ``CCU2C`` among Yosys' models of the family's cells). Synthesis makes the conjunctions
    of LUTs of their own.

    Combinational.

    Parameters
    ----------
    negative : bool
        The upper bit counts -2, as that of a two's complement number, instead of 2.

    Members
    -------
    a : In(signed(8))
        The number.
    b : In(2)
        The bits.
    row : Out(signed(10))
        ``a`` times what the bits stand for.
    """

    a: Signal
    b: Signal
    row: Signal

    def __init__(self, *, negative: bool) -> None:
        self._negative = negative
        super().__init__({"a": In(signed(8)), "b": In(2), "row": Out(signed(ROW_BITS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lower, upper = self.b
        # -x is ~x + 1: the carry into the lowest place, and conjunctions turned round. These must
        # be A and B, since the carry of places that don't differ is that of the turned one.
        table = _lut4(lambda a, b, c, d: (a & b) ^ (c & d) ^ self._negative)
        carry: Value = Const(self._negative)
        for place in range(0, ROW_BITS, 2):
            ports: dict[str, object] = {}
            for half in (0, 1):
                of_lower = (_bit(self.a, place + half), lower)
                of_upper = (_bit(self.a, place + half - 1), upper)
                first, second = (of_upper, of_lower) if self._negative else (of_lower, of_upper)
                for name, value in zip("ABCD", (*first, *second), strict=True):
                    ports[f"i_{name}{half}"] = value
                ports[f"p_INIT{half}"] = Const(table, 16)
                ports[f"p_INJECT1_{half}"] = "NO"
                ports[f"o_S{half}"] = self.row[place + half]
            following = Signal(name=f"carry_{place + 2}")
            m.submodules[f"places_{place}"] = Instance(
                "CCU2C", i_CIN=carry, o_COUT=following, **ports
            )
            carry = following
        return m


def _bit(value: Signal, place: int) -> Value:
    """A bit of a signed number, which has zeros below and its sign above."""
    return Const(0) if place < 0 else value[min(place, len(value) - 1)]


def _lut4(function: Callable[[int, int, int, int], int]) -> int:
    """Truth table of a function of the inputs A to D, A the lowest bit of its index."""
    inputs = ((index & 1, index >> 1 & 1, index >> 2 & 1, index >> 3) for index in range(16))
    return sum(function(*bits) << index for index, bits in enumerate(inputs))
