"""Reads parameter records and tables from the weight memory."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import ADDRESS_BITS, LoadParameters
from celosia.hdl.npu.interfaces import MemoryReadSignature, field_width, vector
from celosia.hdl.npu.operand_tables import TABLE_ENTRIES

__all__ = ["ConstantLoader", "LoadCommand"]

ENTRY_BYTES = 4

LoadCommand = data.StructLayout(
    {
        "address": unsigned(ADDRESS_BITS),
        "is_table": 1,
        "table": 1,
        "planes": unsigned(field_width(LoadParameters, "planes")),
    }
)
"""First vector; whether a table, and which, or a parameter record, and its planes, at least 1."""


class ConstantLoader(wiring.Component):
    """Reads one parameter record, or one table, and hands it on in the pieces that are stored.

    A record takes as many cycles as it has planes, a table one for each of its 256 entries, plus
    the memory's latency. Requests and answers wait for the memory as long as it takes. Reset
    forgets the command.

    Parameters
    ----------
    config : NpuConfig
        Sizes of vectors, records and tables.

    Members
    -------
    commands : In(stream.Signature(LoadCommand))
        What to load; taken while idle.
    read : Out(MemoryReadSignature)
        To the weight memory.
    plane_enable : Out(1)
        `vector` is plane `plane` of a record.
    plane : Out(range(planes))
        Number of the plane, from 0.
    vector : Out(C bytes)
        The plane: a byte for each column.
    entry_enable : Out(1)
        `value` is entry `entry` of table `table`.
    table : Out(1)
        0 for operand a, 1 for operand b.
    entry : Out(8)
        Number of the entry: the operand as an unsigned byte.
    value : Out(32)
        The entry.
    done : Out(1)
        Pulse with the last plane or entry.
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "commands": In(stream.Signature(LoadCommand)),
                "read": Out(MemoryReadSignature(vector(config.columns))),
                "plane_enable": Out(1),
                "plane": Out(range(config.parameter_vectors)),
                "vector": Out(vector(config.columns)),
                "entry_enable": Out(1),
                "table": Out(1),
                "entry": Out(range(TABLE_ENTRIES)),
                "value": Out(32),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        running = Signal()
        command = Signal(LoadCommand, reset_less=True)  # its address is the next request's
        asking = Signal()
        longest = config.parameter_vectors
        if config.vector_operations:
            longest = max(longest, config.table_vectors)
        requests_left = Signal(range(longest + 1))
        request, response = self.read.request, self.read.response
        m.d.comb += [
            self.commands.ready.eq(~running),
            request.valid.eq(asking),
            request.payload.address.eq(command.address),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += [
                command.address.eq(command.address + 1),
                requests_left.eq(requests_left - 1),
                asking.eq(requests_left != 1),
            ]

        # Entries are taken from the bottom of a vector that is looked at once for each.
        per_vector = config.table_entries_per_vector
        piece = Signal(range(per_vector))
        words = data.ArrayLayout(unsigned(8 * ENTRY_BYTES), per_vector)
        entries = data.View(words, response.payload.vector.as_value()[: words.size])
        last_entry = self.entry == TABLE_ENTRIES - 1
        m.d.comb += [
            self.vector.eq(response.payload.vector),
            self.plane_enable.eq(response.valid & ~command.is_table),
            self.table.eq(command.table),
            self.value.eq(entries[piece]),
            self.entry_enable.eq(response.valid & command.is_table),
            response.ready.eq(~command.is_table | last_entry | (piece == per_vector - 1)),
            self.done.eq(
                response.valid & Mux(command.is_table, last_entry, self.plane == command.planes - 1)
            ),
        ]
        plane = Signal.like(self.plane)
        entry = Signal.like(self.entry)
        m.d.comb += [self.plane.eq(plane), self.entry.eq(entry)]
        with m.If(self.plane_enable):
            m.d.sync += plane.eq(plane + 1)
        with m.If(self.entry_enable):
            m.d.sync += [
                entry.eq(entry + 1),
                piece.eq(Mux(piece == per_vector - 1, 0, piece + 1)),
            ]
        with m.If(self.done):
            m.d.sync += running.eq(0)
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                running.eq(1),
                asking.eq(1),
                command.eq(self.commands.payload),
                requests_left.eq(
                    Mux(
                        self.commands.payload.is_table,
                        config.table_vectors,
                        self.commands.payload.planes,
                    )
                ),
                plane.eq(0),
                entry.eq(0),
                piece.eq(0),
            ]
        return m
