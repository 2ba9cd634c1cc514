"""Bench of `celosia.hdl.npu.sequencer.Sequencer`: programs, steps, ends, and their cycles."""

import itertools
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import (
    INSTRUCTION_BITS,
    INSTRUCTIONS,
    VECTOR_INSTRUCTIONS,
    Halt,
    Product,
    Unit,
)
from celosia.golden.memory_map import UnitState
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.stalls import Stall

QUEUES: list[Unit] = [unit for unit in Unit if unit is not Unit.SEQUENCER]


class Machine:
    """The DUT with its memory, and a record of what it dispatched and when."""

    def __init__(self, dut: Any, bench: BlockBench, memory_stall: Stall = Stall.NEVER) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        self.vectors = config.instruction_vectors
        absent = () if config.vector_operations else VECTOR_INSTRUCTIONS
        self.opcodes = {
            i.opcode: i.unit() for i in INSTRUCTIONS if i not in (Halt, Product, *absent)
        }
        self.illegal = sorted(set(range(256)) - {*self.opcodes, Halt.opcode})
        self.dut = dut
        self._bench = bench
        self._edge = RisingEdge(bench.clk)
        self._bits = 8 * config.columns
        self._contents: dict[int, int] = {}
        self.cycle = 0
        self.dispatched: list[int] = []
        self.dispatch_cycles: list[int] = []
        self.memory = MemoryModel(
            bench,
            dut,
            "read",
            self._contents.__getitem__,
            request_stall=memory_stall,
            response_stall=memory_stall,
        )
        for port in ("start", "step_mode", "step", "program"):
            getattr(dut, port).value = 0
        self._end = 1 << len(dut.program)
        dut.idle.value = dut.settled.value = 1
        cocotb.start_soon(self._watch())

    @classmethod
    async def start(
        cls, dut: Any, memory_stall: Stall = Stall.NEVER, queue_stall: Stall = Stall.NEVER
    ) -> "Machine":
        """Machine and bench after reset, with queues that take instructions."""
        bench = await BlockBench.start(dut)
        for unit in QUEUES:
            bench.sink(unit.name.lower(), queue_stall)
        machine = cls(dut, bench, memory_stall)
        await bench.cycles(2)
        return machine

    async def _watch(self) -> None:
        dut = self.dut
        ports = [
            [getattr(dut, f"{unit.name.lower()}__{p}") for p in ("payload", "valid", "ready")]
            for unit in QUEUES
        ]
        while True:
            await self._edge
            self.cycle += 1
            offers = [u for u, p in zip(QUEUES, ports, strict=True) if p[1].value]
            assert len(offers) <= 1, f"one instruction offered to {offers}"
            for unit, (payload, valid, ready) in zip(QUEUES, ports, strict=True):
                if valid.value:
                    word = payload.value.to_unsigned()
                    assert self.opcodes.get(word & 0xFF) is unit, (
                        f"{unit.name} is offered {word:#x}"
                    )
                    assert dut.state.value.to_unsigned() == UnitState.WAITING_QUEUE
                    if ready.value:
                        self.dispatched.append(word)
                        self.dispatch_cycles.append(self.cycle)

    def random_word(self, opcode: int) -> int:
        """An instruction with random operands."""
        return self._bench.rng.getrandbits(INSTRUCTION_BITS - 8) << 8 | opcode

    def random_program(self, length: int, last: int = Halt.opcode) -> list[int]:
        """Instructions of any unit, and the last."""
        opcodes = self._bench.rng.choices(list(self.opcodes), k=length)
        return [self.random_word(opcode) for opcode in [*opcodes, last]]

    def store(self, address: int, program: list[int]) -> int:
        """Put a program into the memory, random behind it; the vector after its last word."""
        self._contents.clear()
        for _ in range(2):
            program = [*program, self.random_word(next(iter(self.opcodes)))]
        for k, word in enumerate(program):
            for part in range(self.vectors):
                where = (address + k * self.vectors + part) % self._end
                self._contents[where] = (word >> part * self._bits) % (1 << self._bits)
        return (address + (len(program) - 2) * self.vectors) % self._end

    async def go(self, address: int) -> None:
        """Pulse `start`."""
        self.dut.program.value = address
        self.dut.start.value = 1
        await self._edge
        assert not self.dut.running.value
        self.dut.start.value = 0
        self.dut.program.value = self._bench.rng.randrange(self._end)
        await self._edge
        assert self.dut.running.value, "not running in the cycle after start"

    async def until_idle(self) -> None:
        """Wait for the program's end."""
        while self.dut.running.value:
            await self._edge

    async def state(self) -> UnitState:
        """The state after one more clock edge."""
        await self._edge
        return UnitState(self.dut.state.value.to_unsigned())

    async def cycles(self, count: int) -> None:
        """Wait."""
        await self._bench.cycles(count)

    def random_address(self) -> int:
        """Anywhere, or such that the program wraps around."""
        return self._bench.rng.choice([self._bench.rng.randrange(self._end), self._end - 1])


@cocotb.test()
@cocotb.parametrize(memory_stall=list(Stall), queue_stall=list(Stall))
async def programs_run_in_order(dut: Any, memory_stall: Stall, queue_stall: Stall) -> None:
    machine = await Machine.start(dut, memory_stall, queue_stall)
    for length in (40, 0, 3):  # the same sequencer, one program after another
        address = machine.random_address()
        program = machine.random_program(length)
        behind = machine.store(address, program)
        machine.dispatched.clear()
        machine.memory.addresses.clear()
        await machine.go(address)
        await machine.until_idle()
        assert machine.dispatched == program[:-1]
        reads = (length + 1) * machine.vectors
        assert machine.memory.addresses == [
            (address + k) % (1 << len(dut.program)) for k in range(reads)
        ]
        assert dut.program_counter.value.to_unsigned() == behind
        assert not dut.illegal.value
        await machine.cycles(20)
        assert machine.dispatched == program[:-1], "dispatched after HALT"
        assert dut.state.value.to_unsigned() == UnitState.IDLE
        assert not dut.running.value


@cocotb.test()
async def instructions_take_the_cycles_promised(dut: Any) -> None:
    machine = await Machine.start(dut)
    machine.store(5, machine.random_program(50))
    await machine.go(5)
    await machine.until_idle()
    steps = {b - a for a, b in itertools.pairwise(machine.dispatch_cycles)}
    assert steps == {machine.vectors + 3}, f"{steps} cycles for {machine.vectors} reads"


@cocotb.test()
async def a_full_queue_blocks(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    machine = Machine(dut, bench)
    ready = {unit: getattr(dut, f"{unit.name.lower()}__ready") for unit in QUEUES}
    for opcode, full in machine.opcodes.items():
        for unit in QUEUES:
            ready[unit].value = int(unit is not full)
        program = [machine.random_word(opcode), machine.random_word(Halt.opcode)]
        machine.store(0, program)
        machine.dispatched.clear()
        await machine.go(0)
        await bench.cycles(30)
        assert machine.dispatched == []
        assert await machine.state() == UnitState.WAITING_QUEUE
        ready[full].value = 1
        await machine.until_idle()
        assert machine.dispatched == program[:-1]


@cocotb.test()
async def halt_waits_until_all_units_are_idle(dut: Any) -> None:
    machine = await Machine.start(dut)
    for last in (Halt.opcode, machine.illegal[0]):
        machine.store(7, machine.random_program(3, last))
        dut.idle.value = 0
        await machine.go(7)
        while await machine.state() != UnitState.DRAINING:
            assert dut.running.value
        for _ in range(30):
            assert await machine.state() == UnitState.DRAINING
            assert dut.running.value
        dut.idle.value = 1
        assert await machine.state() == UnitState.DRAINING
        assert await machine.state() == UnitState.IDLE
        assert not dut.running.value


@cocotb.test()
async def illegal_opcodes_stop_the_program(dut: Any) -> None:
    machine = await Machine.start(dut, queue_stall=Stall.HALF)
    for opcode in machine.illegal:
        address = machine.random_address()
        program = machine.random_program(2, opcode)
        behind = machine.store(address, program)
        machine.dispatched.clear()
        await machine.go(address)
        assert not dut.illegal.value, "start didn't clear illegal"
        await machine.until_idle()
        assert dut.illegal.value, f"{opcode:#x} wasn't refused"
        assert machine.dispatched == program[:-1]
        assert dut.program_counter.value.to_unsigned() == behind
    machine.store(0, machine.random_program(1))
    await machine.go(0)
    await machine.until_idle()
    assert not dut.illegal.value


@cocotb.test()
async def after_an_illegal_opcode_start_needs_no_idle_unit(dut: Any) -> None:
    machine = await Machine.start(dut)
    machine.store(0, machine.random_program(2, machine.illegal[0]))
    dut.idle.value = 0
    await machine.go(0)
    while not dut.illegal.value:
        await machine.cycles(1)
    await machine.cycles(10)
    assert dut.running.value
    following = machine.random_program(3)
    machine.store(500, following)
    machine.dispatched.clear()
    dut.program.value = 500
    dut.start.value = 1
    await machine.cycles(1)
    dut.start.value = 0
    dut.idle.value = 1
    await machine.until_idle()
    assert not dut.illegal.value
    assert machine.dispatched == following[:-1]


@cocotb.test()
async def start_is_ignored_while_running(dut: Any) -> None:
    machine = await Machine.start(dut, Stall.HALF, Stall.HALF)
    program = machine.random_program(40)
    machine.store(100, program)
    await machine.go(100)
    while dut.running.value:
        # No pulse into the cycle in which it becomes idle.
        draining = dut.state.value.to_unsigned() == UnitState.DRAINING
        dut.start.value = int(not draining and machine.cycle % 3 == 0)
        dut.idle.value = int(draining)
        dut.program.value = 99
        await machine.cycles(1)
    dut.start.value = 0
    assert machine.dispatched == program[:-1]
    await machine.cycles(10)
    assert not dut.running.value


@cocotb.test()
@cocotb.parametrize(queue_stall=[Stall.NEVER, Stall.HALF])
async def step_mode_pauses_after_each_instruction(dut: Any, queue_stall: Stall) -> None:
    machine = await Machine.start(dut, queue_stall=queue_stall)
    program = machine.random_program(12)
    machine.store(50, program)
    dut.step_mode.value = 1
    dut.settled.value = 0
    await machine.go(50)
    for done in range(1, len(program)):
        while len(machine.dispatched) < done:
            dut.step.value = machine.cycle & 1  # ignored: it isn't paused
            await machine.cycles(1)
        # The unit is at work: no pause, no next fetch.
        reads = len(machine.memory.addresses)
        for _ in range(10):
            dut.step.value = machine.cycle & 1
            await machine.cycles(1)
            assert not dut.stepped.value
        dut.step.value = 0
        dut.settled.value = 1
        await machine.cycles(2)
        assert dut.stepped.value
        dut.settled.value = 0
        for _ in range(10):
            assert await machine.state() == UnitState.STEP_PAUSE
            assert dut.stepped.value
            assert dut.running.value
        assert len(machine.memory.addresses) == reads
        assert machine.dispatched == program[:done]
        assert dut.program_counter.value.to_unsigned() == 50 + done * machine.vectors
        dut.step.value = 1
        await machine.cycles(1)
        dut.step.value = 0
        await machine.cycles(1)
        assert not dut.stepped.value
    await machine.until_idle()
    assert machine.dispatched == program[:-1]


@cocotb.test()
async def leaving_step_mode_needs_one_more_step(dut: Any) -> None:
    machine = await Machine.start(dut)
    program = machine.random_program(6)
    machine.store(0, program)
    dut.step_mode.value = 1
    await machine.go(0)
    while not dut.stepped.value:
        await machine.cycles(1)
    dut.step_mode.value = 0
    await machine.cycles(10)
    assert dut.stepped.value
    dut.step.value = 1
    await machine.cycles(1)
    dut.step.value = 0
    await machine.until_idle()
    assert machine.dispatched == program[:-1]


@cocotb.test()
async def reset_ends_a_program(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    machine = Machine(dut, bench)
    for unit in QUEUES:
        getattr(dut, f"{unit.name.lower()}__ready").value = 1
    for _ in range(20):
        program = machine.random_program(20)
        machine.store(3, program)
        machine.dispatched.clear()
        await machine.go(3)
        await bench.cycles(bench.rng.randrange(60))
        await bench.reset(2)
        machine.memory.forget()
        await bench.cycles(1)
        assert not dut.running.value
        assert not dut.stepped.value
        assert machine.dispatched == program[: len(machine.dispatched)]
    program = machine.random_program(20)
    machine.store(3, program)
    machine.dispatched.clear()
    await machine.go(3)
    await machine.until_idle()
    assert machine.dispatched == program[:-1]
