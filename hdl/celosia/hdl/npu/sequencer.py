"""SEQUENCER: fetches the program and hands each instruction to its unit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.config import NpuConfig
from celosia.golden.isa import (
    DEPTHWISE_INSTRUCTIONS,
    INSTRUCTION_BITS,
    INSTRUCTIONS,
    VECTOR_INSTRUCTIONS,
    Halt,
    Product,
    Unit,
)
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.interfaces import InstructionStream, MemoryReadSignature, vector

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs a program: instructions go to the units' queues in program order.

    An instruction takes ceil(16 / C) reads and three more cycles, then waits while its unit's queue
    is full, or until its unit takes it where there are no queues. HALT waits until `idle`; an
    opcode that no unit knows, or that the configuration has no engine for, stops the program as
    well. Units may then wait for what never comes, so that `start` is taken before they are idle.

    Members:
        start: pulse, begins at vector `program`; ignored while `running`, but not while `illegal`.
        step_mode, step: in step mode the sequencer pauses after each instruction, once `settled`,
            until `step` is pulsed; a pulse at any other time is ignored.
        read: reads of the weight memory.
        load, matrix, post: instruction words to the units' queues, or to the units.
        idle: no unit has anything to do. settled: the same, LOAD's read-ahead aside.
        running: from the cycle after `start` until HALT is complete. illegal: stopped at an illegal
            opcode. stepped: paused in step mode.
        program_counter: vector of the next fetch. state: `UnitState`.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        address_bits = ceil_log2(config.weight_depth)
        super().__init__(
            {
                "start": In(1),
                "program": In(address_bits),
                "step_mode": In(1),
                "step": In(1),
                "read": Out(MemoryReadSignature(vector(config.columns))),
                **{unit.name.lower(): Out(InstructionStream) for unit in Unit if unit},
                "idle": In(1),
                "settled": In(1),
                "running": Out(1),
                "illegal": Out(1),
                "stepped": Out(1),
                "program_counter": Out(address_bits),
                "state": Out(4),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        vectors = self._config.instruction_vectors
        parts = [
            Signal(8 * self._config.columns, name=f"part_{i}", reset_less=True)
            for i in range(vectors)
        ]
        asking = Signal()
        asked = Signal(range(vectors))
        received = Signal(range(vectors + 1))
        word = Cat(*parts)[:INSTRUCTION_BITS]
        opcode = word[:8]
        queues = {unit: getattr(self, unit.name.lower()) for unit in Unit if unit}
        for queue in queues.values():
            m.d.comb += queue.payload.eq(word)
        request, response = self.read.request, self.read.response
        m.d.comb += [
            request.valid.eq(asking),
            request.payload.address.eq(self.program_counter),
            self.running.eq(1),
            self.state.eq(UnitState.RUNNING),
        ]

        def fetch():
            m.d.sync += asking.eq(1)
            m.next = "FETCH"

        def begin():
            m.d.sync += [self.program_counter.eq(self.program), self.illegal.eq(0)]
            fetch()

        with m.FSM(name="sequencer"):
            with m.State("IDLE"):
                m.d.comb += [self.running.eq(0), self.state.eq(UnitState.IDLE)]
                with m.If(self.start):
                    begin()
            with m.State("FETCH"):
                m.d.comb += [
                    response.ready.eq(1),
                    self.state.eq(UnitState.WAITING_MEMORY),
                ]
                with m.If(request.valid & request.ready):
                    m.d.sync += [
                        asked.eq(asked + 1),
                        self.program_counter.eq(self.program_counter + 1),
                    ]
                    with m.If(asked == vectors - 1):
                        m.d.sync += [asking.eq(0), asked.eq(0)]
                with m.If(response.valid):
                    # The first vector ends up lowest.
                    for part, above in zip(
                        parts, [*parts[1:], response.payload.vector], strict=True
                    ):
                        m.d.sync += part.eq(above)
                    m.d.sync += received.eq(received + 1)
                    with m.If(received == vectors - 1):
                        m.d.sync += received.eq(0)
                        m.next = "DISPATCH"
            with m.State("DISPATCH"):
                m.d.comb += self.state.eq(UnitState.WAITING_QUEUE)
                absent = () if self._config.depthwise_taps else DEPTHWISE_INSTRUCTIONS
                if self._config.crossbar is None:
                    absent = (*absent, Product)
                if not self._config.vector_operations:
                    absent = (*absent, *VECTOR_INSTRUCTIONS)
                known = [i for i in INSTRUCTIONS if i not in absent]
                with m.Switch(opcode):
                    for unit, queue in queues.items():
                        with m.Case(*(i.opcode for i in known if i.unit() is unit)):
                            m.d.comb += queue.valid.eq(1)
                            with m.If(queue.ready):
                                m.next = "SETTLE"
                    with m.Case(Halt.opcode):
                        m.next = "FINISH"
                    with m.Default():
                        m.d.sync += self.illegal.eq(1)
                        m.next = "FINISH"
            with m.State("SETTLE"):
                with m.If(~self.step_mode):
                    fetch()
                with m.Elif(self.settled):
                    m.next = "PAUSE"
            with m.State("PAUSE"):
                m.d.comb += [self.stepped.eq(1), self.state.eq(UnitState.STEP_PAUSE)]
                with m.If(self.step):
                    fetch()
            with m.State("FINISH"):
                m.d.comb += self.state.eq(UnitState.DRAINING)
                with m.If(self.illegal & self.start):
                    begin()
                with m.Elif(self.idle):
                    m.next = "IDLE"
        return m
