"""The order in which POST reads accumulators and operands."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import ADDRESS_BITS, Add, Drain
from celosia.hdl.npu.interfaces import field_width
from celosia.hdl.npu.tap_reducer import Tap

__all__ = ["OperandReader", "OperandRequest", "OperandRun", "SumReader", "SumRun"]

SumRun = data.StructLayout(
    {
        "address": unsigned(field_width(Drain, "accumulator")),
        "columns": unsigned(field_width(Drain, "columns")),
        "rows": unsigned(field_width(Drain, "rows")),
    }
)
"""rows * columns accumulator vectors, from an address on."""

OperandRun = data.StructLayout(
    {
        "a": unsigned(ADDRESS_BITS),
        "b": unsigned(ADDRESS_BITS),
        "count": unsigned(field_width(Add, "count")),
        "b_vectors": unsigned(field_width(Add, "b_vectors")),
    }
)
"""`count` vectors of both operands, from two addresses on; b starts over after `b_vectors`, if that
isn't 0."""

OperandRequest = data.StructLayout({"address": unsigned(ADDRESS_BITS), "tag": Tap})
"""A scratchpad address; operand a is the first tap of a pair, b the final one."""


class SumReader(wiring.Component):
    """Accumulator addresses of a chunk, in order.

    Throughput: an address every cycle. Latency: the first address is offered in the cycle after its
    run was taken. Reset ends the run.

    Members
    -------
    runs : In(stream.Signature(SumRun))
        Taken while there is none.
    o : Out(stream.Signature(24))
        Addresses.
    """

    runs: stream.Interface
    o: stream.Interface

    def __init__(self):
        super().__init__(
            {
                "runs": In(stream.Signature(SumRun)),
                "o": Out(stream.Signature(ADDRESS_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        running = Signal()
        run = Signal(SumRun, reset_less=True)  # address and rows are those still to come
        columns_left = Signal.like(run.columns, reset_less=True)
        row_end = columns_left == 1
        last = row_end & (run.rows == 1)
        move = self.o.valid & self.o.ready
        m.d.comb += [
            self.o.valid.eq(running),
            self.o.payload.eq(run.address),
            self.runs.ready.eq(~running),
        ]
        with m.If(move):
            m.d.sync += [
                run.address.eq(run.address + 1),
                columns_left.eq(Mux(row_end, run.columns, columns_left - 1)),
                run.rows.eq(run.rows - row_end),
                running.eq(~last),
            ]
        with m.If(self.runs.ready):  # whether there is a run is known later
            m.d.sync += [
                running.eq(self.runs.valid),
                run.eq(self.runs.payload),
                columns_left.eq(self.runs.payload.columns),
            ]
        return m


class OperandReader(wiring.Component):
    """Scratchpad addresses of ADD's and MUL's operands: a, b, a + 1, b + 1, and so on.

    Throughput: an address every cycle. Latency: the first address is offered in the cycle after its
    run was taken. Reset ends the run.

    Members
    -------
    runs : In(stream.Signature(OperandRun))
        Taken while there is none.
    o : Out(stream.Signature(OperandRequest))
        Addresses with their place in the pair.
    """

    runs: stream.Interface
    o: stream.Interface

    def __init__(self):
        super().__init__(
            {
                "runs": In(stream.Signature(OperandRun)),
                "o": Out(stream.Signature(OperandRequest)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        run = Signal(OperandRun)  # what is still to come
        second = Signal()
        b_start = Signal.like(run.b, reset_less=True)
        b_left = Signal.like(run.b_vectors, reset_less=True)  # until it starts over
        m.d.comb += [
            self.runs.ready.eq(run.count == 0),
            self.o.valid.eq(run.count != 0),
            self.o.payload.address.eq(Mux(second, run.b, run.a)),
            self.o.payload.tag.first.eq(~second),
            self.o.payload.tag.final.eq(second),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += second.eq(~second)
            with m.If(second):
                m.d.sync += [
                    run.b.eq(run.b + 1),
                    b_left.eq(b_left - 1),
                    run.count.eq(run.count - 1),
                ]
                with m.If(b_left == 1):
                    m.d.sync += [run.b.eq(b_start), b_left.eq(run.b_vectors)]
            with m.Else():
                m.d.sync += run.a.eq(run.a + 1)
        with m.If(self.runs.ready):  # as above
            m.d.sync += [
                run.eq(self.runs.payload),
                b_start.eq(self.runs.payload.b),
                b_left.eq(self.runs.payload.b_vectors),
            ]
            with m.If(~self.runs.valid):
                m.d.sync += run.count.eq(0)
        return m
