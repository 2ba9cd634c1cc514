"""Where POST stores its vectors."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import ADDRESS_BITS, Drain
from celosia.hdl.npu.interfaces import field_width

__all__ = ["EXTENT_BITS", "OutputAddresses", "output_run"]

EXTENT_BITS = field_width(Drain, "columns")
"""Of the rows and columns that an instruction may have."""


def output_run(vectors: int, extent_bits: int = EXTENT_BITS) -> data.StructLayout:
    """First address, and counts, each at least 1, of which the first is at most `vectors`."""
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "vectors": range(vectors + 1),
            "columns": unsigned(extent_bits),
            "rows": unsigned(extent_bits),
        }
    )


OutputAddress = data.StructLayout({"address": unsigned(ADDRESS_BITS), "pixel_end": 1, "last": 1})
"""One vector's address; whether it is its pixel's last, and the run's last."""


class OutputAddresses(wiring.Component):
    """Addresses `address + row * row_step + column * column_step + v`, v fastest, row slowest.

    Throughput: an address every cycle. Latency: the first address is offered in the cycle after its
    run was taken. Back-pressure: a run is taken while there is none. Reset ends the run.

    Parameters
    ----------
    vectors : int
        Most vectors of a pixel.
    extent_bits : int
        Of the counts of columns and rows.

    Members
    -------
    runs : In(stream.Signature(output_run(vectors, extent_bits)))
        Starts a run.
    column_step, row_step : In(24)
        Steps, modulo 2^24; must not change during a run.
    o : Out(stream.Signature(OutputAddress))
        The run's addresses.
    """

    runs: stream.Interface
    column_step: Signal
    row_step: Signal
    o: stream.Interface

    def __init__(self, *, vectors, extent_bits=EXTENT_BITS):
        self._vectors = vectors
        self._run = output_run(vectors, extent_bits)
        super().__init__(
            {
                "runs": In(stream.Signature(self._run)),
                "column_step": In(ADDRESS_BITS),
                "row_step": In(ADDRESS_BITS),
                "o": Out(stream.Signature(OutputAddress)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        running = Signal()
        # Counts, and where the next vector goes.
        run = Signal(self._run, reset_less=True)
        column_start = Signal(ADDRESS_BITS, reset_less=True)
        row_start = Signal(ADDRESS_BITS, reset_less=True)
        vectors_left = Signal.like(run.vectors, reset_less=True)
        columns_left = Signal.like(run.columns, reset_less=True)
        # Whether the vector at hand is its pixel's last, and that its row's, are registers, since
        # much waits for them. All pixels may have one vector, and all rows one column.
        pixel_end, row_end, last_row, one_vector, one_column = (
            Signal(name=name, reset_less=True)
            for name in ("pixel_end", "row_end", "last_row", "one_vector", "one_column")
        )
        move = Signal()
        m.d.comb += [
            self.o.valid.eq(running),
            self.o.payload.address.eq(run.address),
            self.o.payload.pixel_end.eq(pixel_end),
            self.o.payload.last.eq(pixel_end & row_end & last_row),
            move.eq(self.o.valid & self.o.ready),
            self.runs.ready.eq(~running),
        ]
        next_row, next_column = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        m.d.comb += [
            next_row.eq(row_start + self.row_step),
            next_column.eq(column_start + self.column_step),
        ]
        with m.If(move & self.o.payload.last):
            m.d.sync += running.eq(0)
        with m.If(move):
            with m.If(~pixel_end):
                m.d.sync += [
                    run.address.eq(run.address + 1),
                    vectors_left.eq(vectors_left - 1),
                    pixel_end.eq(vectors_left == 2),
                ]
            with m.Else():
                start = Mux(row_end, next_row, next_column)
                m.d.sync += [
                    run.address.eq(start),
                    column_start.eq(start),
                    vectors_left.eq(run.vectors),
                    pixel_end.eq(one_vector),
                    columns_left.eq(columns_left - 1),
                    row_end.eq(columns_left == 2),
                ]
                with m.If(row_end):
                    m.d.sync += [
                        row_start.eq(start),
                        columns_left.eq(run.columns),
                        row_end.eq(one_column),
                        run.rows.eq(run.rows - 1),
                        last_row.eq(run.rows == 2),
                    ]
        first = self.runs.payload
        with m.If(self.runs.ready):  # whether there is a run is known later
            m.d.sync += [
                running.eq(self.runs.valid),
                run.eq(first),
                column_start.eq(first.address),
                row_start.eq(first.address),
                vectors_left.eq(first.vectors),
                columns_left.eq(first.columns),
                *(end.eq(first.vectors == 1) for end in (pixel_end, one_vector)),
                *(end.eq(first.columns == 1) for end in (row_end, one_column)),
                last_row.eq(first.rows == 1),
            ]
        return m
