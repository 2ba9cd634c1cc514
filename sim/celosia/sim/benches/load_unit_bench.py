"""Bench of `celosia.hdl.npu.load_unit.LoadUnit`: every vector of every tile and set, in order,
in time."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import ADDRESS_BITS, LoadWeights
from celosia.golden.memory_map import UnitState
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.stalls import Stall

INSTRUCTIONS = 20


class Traffic:
    """Random instructions and the rows that they stream."""

    def __init__(self, bench: BlockBench) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        self.rows = config.rows
        self._bits = 8 * config.columns
        self._scramble = bench.rng.getrandbits(self._bits) | 1
        self.words: list[int] = []
        self.weights: list[int] = []
        end = 1 << ADDRESS_BITS
        for _ in range(INSTRUCTIONS):
            address = bench.rng.choice([bench.rng.randrange(end), end - 1])  # wraps
            tiles = bench.rng.choice([1, 1, 2, 5])
            instruction = LoadWeights(
                address=address,
                tiles=tiles,
                wait=bench.rng.getrandbits(7),
                signal=bench.rng.getrandbits(7),
                mark=bench.rng.getrandbits(1),
            )
            self.words.append(instruction.encode())
            count = tiles * self.rows
            self.weights += [self.contents((address + i) % end) for i in range(count)]

    def contents(self, address: int) -> int:
        """The weight memory: a different vector at every address."""
        return (address + 1) * self._scramble % (1 << self._bits)


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
                word = dut.instructions__payload.value.to_unsigned()
                (tiles,) = (i for i in LoadWeights.layout() if i.name == "tiles")
                due += (word >> tiles.offset) % (1 << tiles.bits.width) * self._rows
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
    weights = bench.sink("weights", engine_stall)
    cocotb.start_soon(bench.source("instructions", instruction_stall).send(traffic.words))
    await weights.check(traffic.weights)
    await weights.check_quiet(10)
    assert not dut.busy.value
    assert dut.state.value.to_unsigned() == UnitState.IDLE


@cocotb.test()
async def one_row_a_cycle_across_instructions(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    weights = bench.sink("weights")
    await bench.cycles(2)
    monitor = Monitor(dut, bench, traffic.rows, prompt=True)
    cocotb.start_soon(bench.source("instructions").send(traffic.words))
    await weights.check(traffic.weights)
    await bench.cycles(1)
    first = monitor.taken[0]
    assert monitor.taken == list(range(first, first + len(traffic.weights)))
    assert first == monitor.accepted[0] + 2
    # Each next instruction is accepted in the cycle of the last read of the one before.
    last_reads = {cycle - 1 for cycle in monitor.taken}
    assert set(monitor.accepted[1:]) <= last_reads
    assert len(memory.addresses) == len(traffic.weights)


@cocotb.test()
async def engine_stops_the_reads(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    dut.weights__ready.value = 0
    cocotb.start_soon(bench.source("instructions").send(traffic.words))
    await bench.cycles(50)
    assert len(memory.addresses) == 2
    assert dut.weights__valid.value
    assert dut.weights__payload.value.to_unsigned() == traffic.weights[0]


@cocotb.test()
async def reset_ends_an_instruction(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    dut.weights__ready.value = 1
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
    weights = bench.sink("weights")
    cocotb.start_soon(bench.source("instructions").send(traffic.words))
    await weights.check(traffic.weights)
