"""LOAD: streams weight tiles from the weight memory into the matrix engine."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.isa import LoadWeights
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.interfaces import (
    InstructionStream,
    MemoryReadSignature,
    field_width,
    instruction_layout,
    vector,
)

__all__ = ["LoadUnit"]


class LoadUnit(wiring.Component):
    """Executes LOAD_WEIGHTS: `tiles` times R vectors from consecutive addresses.

    One weight row a cycle, also from one instruction to the next: the next one is accepted in the
    cycle in which the last read of the current one is granted. Reset ends the instruction.

    Members:
        instructions: LOAD_WEIGHTS words only.
        read: reads of the weight memory.
        weights: tile rows in order, to the engine; its back-pressure stops the reads. Two cycles
            from an instruction to its first row.
        state: `UnitState`. busy: an instruction runs or a row is under way, as long as the memory
            answers in the cycle after a read, which `VectorMemory` does.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._rows = config.rows
        shape = vector(config.columns)
        super().__init__(
            {
                "instructions": In(InstructionStream),
                "read": Out(MemoryReadSignature(shape)),
                "weights": Out(stream.Signature(shape)),
                "state": Out(4),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = instruction_layout(LoadWeights)(self.instructions.payload)
        active = Signal()
        address = Signal.like(self.read.request.payload.address)
        row = Signal(range(self._rows))
        tiles = Signal(field_width(LoadWeights, "tiles"))
        last_row = row == self._rows - 1
        granted = self.read.request.valid & self.read.request.ready
        finishing = granted & last_row & (tiles == 1)

        m.d.comb += [
            self.read.request.valid.eq(active),
            self.read.request.payload.address.eq(address),
            self.instructions.ready.eq(~active | finishing),
            self.weights.valid.eq(self.read.response.valid),
            self.weights.payload.eq(self.read.response.payload.vector),
            self.read.response.ready.eq(self.weights.ready),
            self.busy.eq(active | self.read.response.valid),
            self.state.eq(Mux(active, UnitState.RUNNING, UnitState.IDLE)),
        ]
        with m.If(self.weights.valid & ~self.weights.ready):
            m.d.comb += self.state.eq(UnitState.WAITING_ENGINE)
        with m.Elif(active & ~self.read.request.ready):
            m.d.comb += self.state.eq(UnitState.WAITING_MEMORY)

        with m.If(granted):
            m.d.sync += [address.eq(address + 1), row.eq(Mux(last_row, 0, row + 1))]
            with m.If(last_row):
                m.d.sync += tiles.eq(tiles - 1)
        with m.If(self.instructions.ready):
            m.d.sync += active.eq(self.instructions.valid)
            with m.If(self.instructions.valid):
                m.d.sync += [address.eq(word.address), tiles.eq(word.tiles), row.eq(0)]
        return m
