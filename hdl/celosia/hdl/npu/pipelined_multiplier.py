"""The requantiser's multiplication, apart so that a board can put its own in place."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.piece_multiplier import PieceMultiplier
from celosia.hdl.npu.pipeline import delayed

__all__ = ["PipelinedMultiplier"]

PIECE_BITS = 18
"""Operands are cut into equal pieces of at most so many bits, as small FPGAs multiply them."""


class PipelinedMultiplier(wiring.Component):
    """A signed times an unsigned number, exactly.

    Latency: ``LATENCY`` enabled cycles: the pieces, the products of all, their sums for each piece
    of ``b``, the sum of these. Throughput: one each cycle. No flow control: whoever uses it stops
    all its registers together, by ``enable`` and `EnableInserter`, which doesn't reach primitives.

    Parameters
    ----------
    a_bits, b_bits : int
        Widths of the operands.
    family : Family, optional
        Of the FPGA, whose primitives are to be used.

    Members
    -------
    enable : In(1)
        The condition of `EnableInserter`.
    a : In(signed(a_bits))
        First operand.
    b : In(unsigned(b_bits))
        Second operand.
    product : Out(signed(a_bits + b_bits))
        a * b of ``LATENCY`` cycles ago.
    """

    LATENCY = 4

    a: Signal
    b: Signal
    product: Signal

    def __init__(self, *, a_bits, b_bits, family=None):
        self.a_bits = a_bits
        self.b_bits = b_bits
        self._family = family
        super().__init__(
            {
                "enable": In(1),
                "a": In(signed(a_bits)),
                "b": In(unsigned(b_bits)),
                "product": Out(signed(a_bits + b_bits)),
            }
        )

    @staticmethod
    def pieces(a_bits: int, b_bits: int) -> int:
        """How many products of small pieces it is made of: multiplier blocks, on an FPGA."""
        return _count(a_bits) * _count(b_bits)

    def elaborate(self, platform):
        m = Module()
        rows = []
        for b_place, b in _pieces(self.b):
            products = []
            for a_place, a in _pieces(self.a):
                piece = PieceMultiplier(a.shape(), b.shape(), held=True, family=self._family)
                m.submodules[f"piece_{a_place}_{b_place}"] = piece
                m.d.comb += [piece.enable.eq(self.enable), piece.a.eq(a), piece.b.eq(b)]
                products.append(piece.product << a_place)
            rows.append(delayed(m, sum(products[1:], products[0]), 1, f"row_{b_place}") << b_place)
        m.d.comb += self.product.eq(delayed(m, sum(rows[1:], rows[0]), 1, "product"))
        return m


def _count(width: int) -> int:
    return -(-width // PIECE_BITS)


def _pieces(operand):
    """Pieces of an operand from the lowest up, each with its place; the last takes the sign."""
    width = len(operand)
    size = -(-width // _count(width))
    pieces = [(place, operand[place : place + size]) for place in range(0, width, size)]
    if operand.shape().signed:
        place, piece = pieces.pop()
        pieces.append((place, piece.as_signed()))
    return pieces
