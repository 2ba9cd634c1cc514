"""Bench of `celosia.hdl.npu.post_unit.PostUnit` against the golden machine's POST."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import Instruction
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.interfaces import MemoryWriteSignature
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.packing import fields_of, pack_vector
from celosia.sim.post_programs import PostProgram, PostProgramWriter, Write
from celosia.sim.stalls import Stall


class PostBench:
    """POST between models of the memories, with semaphores that come late."""

    def __init__(
        self, bench: BlockBench, dut: Any, program: PostProgram, stalls: dict[str, Stall]
    ) -> None:
        self.bench, self._dut, self._stalls = bench, dut, stalls
        self._layout = MemoryWriteSignature(program.config.rows).members["payload"].shape
        self._load(program)
        reads = {
            "weights": lambda a: pack_vector(self._program.weights[a], np.uint8),
            "accumulators": lambda a: pack_vector(self._program.accumulators[a], np.int32),
        }
        if program.config.vector_operations:
            reads["scratchpad"] = lambda a: pack_vector(self._scratchpad[a], np.int8)
        self._memories = []
        for name, read in reads.items():
            stall = stalls.get(name, Stall.NEVER)
            self._memories.append(
                MemoryModel(bench, dut, name, read, request_stall=stall, response_stall=stall)
            )
        self._writes = bench.sink("write", stalls.get("write", Stall.NEVER))
        self._semaphore_stalls = stalls.get("semaphores", Stall.NEVER).cycles(bench.rng)
        cocotb.start_soon(self._watch())

    def _load(self, program: PostProgram) -> None:
        self._program = program
        self._scratchpad = program.scratchpad.copy()
        self.write_cycles: list[int] = []
        self.started: list[tuple[int, int]] = []
        self.completions: list[tuple[int, int, int]] = []

    async def interrupt(self, cycles: int, program: PostProgram) -> None:
        """Run for some cycles, then reset, and take another program."""
        task = cocotb.start_soon(self._send())
        await self.bench.cycles(cycles)
        task.cancel()
        await self.bench.reset()
        for memory in self._memories:
            memory.forget()
        self._load(program)

    async def _send(self) -> None:
        words = [i.encode() for i in self._program.instructions]
        stall = self._stalls.get("instructions", Stall.NEVER)
        await self.bench.source("instructions", stall).send(words)

    async def run(self) -> None:
        """Run the program and check everything that it does."""
        cocotb.start_soon(self._send())
        index = 0
        for instruction, writes in zip(
            self._program.instructions, self._program.writes, strict=True
        ):
            for write in writes:
                (payload,) = await self._writes.receive(1)
                self._check_write(payload, index, instruction, write)
                self.write_cycles.append(self.bench.cycle)
                index += 1
        await self._writes.check_quiet(400)
        self._check_semaphores()
        assert not self._dut.busy.value, "busy stays up"
        assert self._dut.state.value.to_unsigned() == UnitState.IDLE

    def _check_write(
        self, payload: int, index: int, instruction: Instruction, expected: Write
    ) -> None:
        beat = fields_of(self._layout, payload)
        lanes = np.array([beat["mask"] >> lane & 1 for lane in range(len(beat["vector"]))], bool)
        vector = np.where(lanes, beat["vector"], 0).astype(np.int8)
        got = (beat["address"], beat["mask"], vector.tobytes())
        if got != expected:
            want = np.frombuffer(expected[2], np.int8).tolist()
            raise AssertionError(
                f"write {index} of {instruction} is {got[0]}, {got[1]:#x}, {vector.tolist()}, "
                f"expected {expected[0]}, {expected[1]:#x}, {want}"
            )
        self._scratchpad[beat["address"], lanes] = vector[lanes]

    async def _watch(self) -> None:
        """Give semaphores; note when instructions start and what they report."""
        dut, edge = self._dut, RisingEdge(self.bench.clk)
        dut.available.value = 0
        while True:
            await edge
            if dut.take.value:
                self.started.append((dut.wait.value.to_unsigned(), self.bench.cycle))
            signal, mark = dut.signal.value.to_unsigned(), int(dut.mark.value)
            if signal or mark:
                self.completions.append((signal, mark, self.bench.cycle))
                # A setting is complete as it starts.
                assert dut.busy.value or dut.take.value, "a completion is reported while idle"
            dut.available.value = 0 if next(self._semaphore_stalls) else 0x7F

    def _check_semaphores(self) -> None:
        program = self._program
        assert [s[0] for s in self.started] == [i.wait for i in program.instructions], (
            "semaphores taken"
        )
        written, expected = 0, []
        for instruction, writes in zip(program.instructions, program.writes, strict=True):
            written += len(writes)
            if instruction.signal or instruction.mark:
                expected.append((instruction.signal, instruction.mark, written))
        assert [c[:2] for c in self.completions] == [e[:2] for e in expected], "completions"
        for (*_, cycle), (*_, number) in zip(self.completions, expected, strict=True):
            last = self.write_cycles[number - 1] if number else 0
            assert cycle >= last, f"completion in cycle {cycle} is reported before write {number}"


DRAIN_TO_DRAIN = 2
"""Cycles without a beat between DRAINs."""
OVERHEAD = 23
"""Cycles from an instruction's start to its last write, besides those that its vectors take and
those in which the last one goes through the lanes."""
ENDS = ("instructions", "weights", "accumulators", "scratchpad", "write", "semaphores")


@cocotb.test()
@cocotb.parametrize(stall=[*Stall, None])
async def programs_run_as_on_the_golden_machine(dut: Any, stall: Stall | None) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=200_000)
    config = config_from_mapping(bench.parameters, default_name="bench")
    writer = PostProgramWriter(config, bench.rng)
    for _ in range(7 if config.is_bit_serial else 40):
        writer.random_step()
    stalls = {end: stall or bench.rng.choice(list(Stall)) for end in ENDS}
    await PostBench(bench, dut, writer.program, stalls).run()


@cocotb.test()
@cocotb.parametrize(work=["drain", "drains", "add", "mul", "max_pool", "wide_pool"])
async def rates_are_as_documented(dut: Any, work: str) -> None:
    bench = await BlockBench.start(dut)
    config = config_from_mapping(bench.parameters, default_name="bench")
    if work not in ("drain", "drains") and not config.vector_operations:
        return
    writer = PostProgramWriter(config, bench.rng)
    groups = config.vector_cycles
    if work in ("drain", "drains"):
        size = (2, 4) if config.is_bit_serial else (4, 10)
        writer.drains(count=1 if work == "drain" else 4, size=size)
        rate = groups
    elif work in ("add", "mul"):
        getattr(writer, work)(count=40)
        rate = max(2, groups)
    else:
        taps = (1, 2) if work == "max_pool" else (3, 3)
        writer.pool(taps=taps, size=(4, 5))
        rate = max(taps[0] * taps[1], groups)
    run = PostBench(bench, dut, writer.program, {})
    await run.run()
    per_instruction = [len(writes) for writes in writer.program.writes if writes]
    cycles = run.write_cycles[-1] - run.write_cycles[0]
    drain_to_drain = config.requantizer_cycles if config.is_bit_serial else DRAIN_TO_DRAIN
    between = drain_to_drain * (len(per_instruction) - 1)
    expected = (sum(per_instruction) - 1) * rate + between
    assert cycles == expected, f"{cycles} cycles from first to last write, not {expected}"
    start = run.started[-len(per_instruction)][1]
    overhead = run.write_cycles[-1] - start - sum(per_instruction) * rate - groups - between
    assert overhead <= OVERHEAD, f"{overhead} cycles besides those of its vectors"


@cocotb.test()
async def reset_forgets_what_was_at_work(dut: Any) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=200_000)
    config = config_from_mapping(bench.parameters, default_name="bench")
    programs = []
    for _ in range(13):
        writer = PostProgramWriter(config, bench.rng)
        for _ in range(8):
            writer.random_step()
        programs.append(writer.program)
    run = PostBench(bench, dut, programs[0], dict.fromkeys(ENDS, Stall.HALF))
    for program in programs[1:]:
        await run.interrupt(bench.rng.randint(50, 1200), program)
    await run.run()
