"""Bench of `celosia.hdl.npu.load_unit.LoadUnit`: every vector of every tile and set, in order,
in time."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import ADDRESS_BITS, LoadDepthwise, LoadWeights, decode
from celosia.golden.memory_map import UnitState
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.stalls import Stall

INSTRUCTIONS = 20


class Traffic:
    """Random instructions and the vectors that they stream, to the engine of each."""

    def __init__(self, bench: BlockBench) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        self.rows = config.rows
        self._bits = 8 * config.columns
        self._scramble = bench.rng.getrandbits(self._bits) | 1
        self.words: list[int] = []
        self.weights: list[int] = []
        self.depthwise: list[int] = []
        end = 1 << ADDRESS_BITS
        for _ in range(INSTRUCTIONS):
            address = bench.rng.choice([bench.rng.randrange(end), end - 1])  # wraps
            semaphores = {"wait": bench.rng.getrandbits(7), "signal": bench.rng.getrandbits(7)}
            count = bench.rng.choice([1, 1, 2, 5])
            instruction: LoadWeights | LoadDepthwise
            if config.depthwise_taps and bench.rng.random() < 0.5:
                instruction = LoadDepthwise(address=address, vectors=count, **semaphores)
                vectors = [self.contents((address + i) % end) for i in range(count)]
                last = 1 << self._bits
                self.depthwise += [*vectors[:-1], vectors[-1] | last]
            else:
                instruction = LoadWeights(address=address, tiles=count, **semaphores)
                self.weights += [
                    self.contents((address + i) % end) for i in range(count * self.rows)
                ]
            self.words.append(instruction.encode() | bench.rng.getrandbits(1) << 22)

    @property
    def vectors(self) -> int:
        """Vectors of all instructions."""
        return len(self.weights) + len(self.depthwise)

    def contents(self, address: int) -> int:
        """The weight memory: a different vector at every address."""
        return (address + 1) * self._scramble % (1 << self._bits)


class Engines:
    """Both engines' ends of the unit's streams."""

    def __init__(self, bench: BlockBench, stall: Stall = Stall.NEVER) -> None:
        self._weights = bench.sink("weights", stall)
        self._depthwise = bench.sink("depthwise", stall)

    async def check(self, traffic: Traffic) -> None:
        """Receive all that the traffic streams."""
        checking = cocotb.start_soon(self._depthwise.check(traffic.depthwise))
        await self._weights.check(traffic.weights)
        await checking

    async def check_quiet(self, cycles: int) -> None:
        """Fail if anything is left over."""
        await self._weights.check_quiet(cycles)
        await self._depthwise.check_quiet(1)


class Monitor:
    """Checks `busy` and `state` in every cycle, and notes when rows were taken."""

    def __init__(self, dut: Any, bench: BlockBench, rows: int, *, prompt: bool) -> None:
        self._dut = dut
        self._edge = RisingEdge(bench.clk)
        self._rows = rows
        self._prompt = prompt
        self.cycle = 0
        self.accepted: list[int] = []
        self.taken: list[int] = []
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self._dut
        due = 0
        while True:
            await self._edge
            self.cycle += 1
            asks, granted = dut.read__request__valid.value, dut.read__request__ready.value
            offers, taken = dut.weights__valid.value, dut.weights__ready.value
            if dut.depthwise__valid.value:
                assert not offers, "a vector goes to both engines"
                offers, taken = 1, dut.depthwise__ready.value
            if offers and not taken:
                state = UnitState.WAITING_ENGINE
            elif asks:
                state = UnitState.RUNNING if granted else UnitState.WAITING_MEMORY
            else:
                state = UnitState.IDLE
            assert dut.state.value.to_unsigned() == state, f"state is {dut.state.value}"
            if self._prompt:
                assert bool(dut.busy.value) == (due > 0), f"busy with {due} rows due"
            if offers and taken:
                due -= 1
                self.taken.append(self.cycle)
            if dut.instructions__valid.value and dut.instructions__ready.value:
                instruction = decode(dut.instructions__payload.value.to_unsigned())
                if isinstance(instruction, LoadWeights):
                    due += instruction.tiles * self._rows
                else:
                    assert isinstance(instruction, LoadDepthwise)
                    due += instruction.vectors
                self.accepted.append(self.cycle)


@cocotb.test()
@cocotb.parametrize(
    instruction_stall=[Stall.NEVER, Stall.BURSTS],
    memory_stall=[Stall.NEVER, Stall.HALF, Stall.BURSTS],
    engine_stall=list(Stall),
)
async def rows_arrive_in_order(
    dut: Any, instruction_stall: Stall, memory_stall: Stall, engine_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    # `busy` is exact where the memory answers in the next cycle.
    prompt = bench.rng.random() < 0.5
    MemoryModel(
        bench,
        dut,
        "read",
        traffic.contents,
        request_stall=memory_stall,
        response_stall=Stall.NEVER if prompt else memory_stall,
    )
    Monitor(dut, bench, traffic.rows, prompt=prompt or memory_stall is Stall.NEVER)
    engines = Engines(bench, engine_stall)
    cocotb.start_soon(bench.source("instructions", instruction_stall).send(traffic.words))
    await engines.check(traffic)
    await engines.check_quiet(10)
    assert not dut.busy.value
    assert dut.state.value.to_unsigned() == UnitState.IDLE


@cocotb.test()
async def one_row_a_cycle_across_instructions(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    engines = Engines(bench)
    await bench.cycles(2)
    monitor = Monitor(dut, bench, traffic.rows, prompt=True)
    cocotb.start_soon(bench.source("instructions").send(traffic.words))
    await engines.check(traffic)
    await bench.cycles(1)
    first = monitor.taken[0]
    assert monitor.taken == list(range(first, first + traffic.vectors))
    assert first == monitor.accepted[0] + 2
    # Each next instruction is accepted in the cycle of the last read of the one before.
    last_reads = {cycle - 1 for cycle in monitor.taken}
    assert set(monitor.accepted[1:]) <= last_reads
    assert len(memory.addresses) == traffic.vectors


@cocotb.test()
async def engine_stops_the_reads(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    dut.weights__ready.value = dut.depthwise__ready.value = 0
    cocotb.start_soon(bench.source("instructions").send(traffic.words))
    await bench.cycles(50)
    assert len(memory.addresses) == 2
    first, stream = (
        (traffic.weights[0], dut.weights__payload)
        if dut.weights__valid.value
        else (traffic.depthwise[0], dut.depthwise__payload)
    )
    assert dut.weights__valid.value or dut.depthwise__valid.value
    assert stream.value.to_unsigned() == first


@cocotb.test()
async def reset_ends_an_instruction(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    dut.weights__ready.value = dut.depthwise__ready.value = 1
    for _ in range(10):
        task = cocotb.start_soon(bench.source("instructions").send(traffic.words))
        await bench.cycles(bench.rng.randrange(3, 40))
        task.cancel()
        dut.instructions__valid.value = 0
        await bench.reset(2)
        memory.forget()
        await bench.cycles(1)
        assert not dut.busy.value
        assert dut.instructions__ready.value
    engines = Engines(bench)
    cocotb.start_soon(bench.source("instructions").send(traffic.words))
    await engines.check(traffic)
