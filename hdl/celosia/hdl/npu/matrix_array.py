"""What the arrays of multipliers have in common: their streams, and when they move."""

from amaranth.hdl import Signal
from amaranth.lib import stream, wiring

from celosia.hdl.npu.interfaces import MatrixEngineSignature
from celosia.hdl.npu.multipliers import EXPRESSIONS
from celosia.hdl.npu.pipeline import delayed_while

__all__ = ["MatrixArray"]


class MatrixArray(wiring.Component):
    """An array of ``rows`` x ``columns`` multipliers as an exact matrix engine.

    Throughput: one vector a cycle, without a gap between passes that have at least ``rows``
    vectors; shorter passes take ``rows`` cycles each, because a tile is loaded one row a cycle.
    Latency: a vector that is taken in cycle t is offered as sums in cycle t + ``latency``, counted
    in cycles in which the array moves.

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
            raise ValueError(f"array rows must be an integer of at least 2, not {rows!r}")
        if not isinstance(columns, int) or columns < 1:
            raise ValueError(f"array columns must be a positive integer, not {columns!r}")
        self.rows = rows
        self.columns = columns
        self._multipliers = multipliers
        super().__init__(MatrixEngineSignature(rows, columns))

    def _handshake(self, m):
        """All of the streams but their payloads.

        Returns whether the array moves, whether a pass's first vector is taken, and a bit for each
        row of a tile that is.
        """
        advance, take_activation, take_first = Signal(), Signal(), Signal()
        take_row, selected_row = Signal(), Signal(self.rows)
        tile_complete = Signal()
        next_row = Signal(range(self.rows))
        first = self.activations.payload.first
        m.d.comb += [
            advance.eq(~self.sums.valid | self.sums.ready),
            self.activations.ready.eq(advance & (~first | tile_complete)),
            take_activation.eq(self.activations.valid & self.activations.ready),
            take_first.eq(take_activation & first),
            # As with `take_first`, which would come late.
            self.weights.ready.eq(advance & (~tile_complete | (self.activations.valid & first))),
            take_row.eq(self.weights.valid & self.weights.ready),
            selected_row.eq(take_row << next_row),
        ]
        with m.If(take_first):
            m.d.sync += tile_complete.eq(0)
        with m.If(take_row):
            m.d.sync += next_row.eq(next_row + 1)
            with m.If(next_row == self.rows - 1):
                m.d.sync += [next_row.eq(0), tile_complete.eq(1)]
        valid = delayed_while(m, advance, take_activation, self.latency, "valid", reset_less=False)
        m.d.comb += self.sums.valid.eq(valid)
        return advance, take_first, selected_row
