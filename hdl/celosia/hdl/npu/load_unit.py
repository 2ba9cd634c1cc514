"""LOAD: streams weights from the weight memory into the matrix and the depthwise engine."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.isa import LoadDepthwise, LoadWeights
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.interfaces import (
    DepthwiseEngineSignature,
    InstructionStream,
    MemoryReadSignature,
    instruction_layout,
    vector,
)

__all__ = ["LoadUnit"]


RowTag = data.StructLayout({"depthwise": 1, "last": 1})
"""Which engine a vector is for; it is the last one of its instruction."""


class LoadUnit(wiring.Component):
    """Executes LOAD_WEIGHTS and LOAD_DEPTHWISE: vectors from consecutive addresses.

    One vector a cycle, also from one instruction to the next: the next one is accepted in the
    cycle in which the last read of the current one is granted. Reset ends the instruction.

    Members:
        instructions: LOAD's words only.
        read: reads of the weight memory.
        weights: tile rows in order, to the matrix engine; its back-pressure stops the reads. Three
            cycles from an instruction to its first row.
        depthwise: the same for the depthwise engine, where the configuration has one.
        state: `UnitState`. busy: an instruction runs or a vector is under way, as long as the
            memory answers two cycles after a read, as `Answers.BUFFERED` does.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        shape = vector(config.columns)
        members = {
            "instructions": In(InstructionStream),
            "read": Out(MemoryReadSignature(shape, RowTag)),
            "weights": Out(stream.Signature(shape)),
            "state": Out(4),
            "busy": Out(1),
        }
        if config.depthwise_taps:
            engine = DepthwiseEngineSignature(config.rows, config.columns)
            members["depthwise"] = engine.members["weights"].flip()
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = self._config.rows
        tile_word = instruction_layout(LoadWeights)(self.instructions.payload)
        set_word = instruction_layout(LoadDepthwise)(self.instructions.payload)
        request, response = self.read.request, self.read.response
        active = Signal()
        address = Signal.like(request.payload.address)
        row = Signal(range(rows))
        # Tiles, or vectors where there is a depthwise engine.
        depth = self._config.weight_depth
        left = Signal(range((depth if self._config.depthwise_taps else depth // rows) + 1))
        depthwise = Signal()
        last_row = depthwise | (row == rows - 1)
        last = last_row & (left == 1)
        granted = request.valid & request.ready
        read = Signal()  # in the cycle before
        m.d.sync += read.eq(granted)

        m.d.comb += [
            request.valid.eq(active),
            request.payload.address.eq(address),
            request.payload.tag.depthwise.eq(depthwise),
            request.payload.tag.last.eq(last),
            self.instructions.ready.eq(~active | (granted & last)),
            self.weights.payload.eq(response.payload.vector),
            self.busy.eq(active | read | response.valid),
            self.state.eq(Mux(active, UnitState.RUNNING, UnitState.IDLE)),
        ]
        for_depthwise = response.payload.tag.depthwise
        if self._config.depthwise_taps:
            m.d.comb += [
                self.weights.valid.eq(response.valid & ~for_depthwise),
                self.depthwise.valid.eq(response.valid & for_depthwise),
                self.depthwise.payload.vector.eq(response.payload.vector),
                self.depthwise.payload.last.eq(response.payload.tag.last),
                response.ready.eq(Mux(for_depthwise, self.depthwise.ready, self.weights.ready)),
            ]
        else:
            m.d.comb += [
                self.weights.valid.eq(response.valid),
                response.ready.eq(self.weights.ready),
            ]
        with m.If(response.valid & ~response.ready):
            m.d.comb += self.state.eq(UnitState.WAITING_ENGINE)
        with m.Elif(active & ~request.ready):
            m.d.comb += self.state.eq(UnitState.WAITING_MEMORY)

        with m.If(granted):
            m.d.sync += [address.eq(address + 1), row.eq(Mux(last_row, 0, row + 1))]
            with m.If(last_row):
                m.d.sync += left.eq(left - 1)
        with m.If(self.instructions.ready):
            m.d.sync += active.eq(self.instructions.valid)
            with m.If(self.instructions.valid):
                m.d.sync += [address.eq(tile_word.address), left.eq(tile_word.tiles), row.eq(0)]
                if self._config.depthwise_taps:
                    is_set = set_word.opcode == LoadDepthwise.opcode
                    m.d.sync += depthwise.eq(is_set)
                    with m.If(is_set):
                        m.d.sync += [address.eq(set_word.address), left.eq(set_word.vectors)]
        return m
