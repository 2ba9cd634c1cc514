"""Bench of `celosia.hdl.npu.matrix_unit.MatrixUnit` against the golden machine's loop nest.

The DUT is the unit with its semaphores (`tests/cosim/test_matrix_unit.py`).
"""

from itertools import accumulate
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import Instruction, Matmul, MatrixInput, MatrixLoop, Semaphore
from celosia.golden.machine.loops import LoopNest
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.interfaces import AccumulateJob, MatrixEngineSignature
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.packing import fields_of, pack_fields, pack_vector
from celosia.sim.stalls import Stall

LAYERS = 8
DEPTH = 2048
COUNTED = Semaphore.DRAINED | Semaphore.STORED
STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


class Program:
    """Chunks of random convolutions: the instructions, and what must come of them."""

    def __init__(self, bench: BlockBench, *, waits: bool, layers: int = LAYERS) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        self.rng = np.random.default_rng(bench.rng.getrandbits(64))
        self.memory = self.rng.integers(-128, 128, (DEPTH, config.rows), np.int8)
        self.half = config.accumulator_depth // 2
        engine = MatrixEngineSignature(config.rows, config.columns)
        self.activation = engine.members["activations"].signature.members["payload"].shape
        self.waits = waits
        self.instructions: list[Instruction] = []
        self.activations: list[list[int]] = []
        self.jobs: list[list[int]] = []
        self._nest = LoopNest()
        for _ in range(layers):
            self._layer()

    def _append(self, instruction: Instruction, activations: list[int], jobs: list[int]) -> None:
        self.instructions.append(instruction)
        self.activations.append(activations)
        self.jobs.append(jobs)

    def _between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _semaphores(self) -> dict[str, int]:
        if not self.waits:
            return {}
        return {"wait": self._between(0, 127) & ~1, "signal": self._between(0, 127)}

    def _layer(self) -> None:
        """A convolution of a random image, in chunks."""
        height, width, vectors = (self._between(1, n) for n in (9, 9, 3))
        kernel_y, kernel_x = self._between(1, 3), self._between(1, 3)
        stride_y, stride_x, dilation_y, dilation_x = (self._between(1, 2) for _ in range(4))
        base = self._between(0, DEPTH - height * width * vectors)
        row, pixel = width * vectors, vectors
        steps = [
            (self._between(1, 9), stride_x * pixel, 0, stride_x),
            (self._between(1, 9), stride_y * row, stride_y, 0),
            (vectors, 1, 0, 0),
            (kernel_x, dilation_x * pixel, 0, dilation_x),
            (kernel_y, dilation_y * row, dilation_y, 0),
        ]
        self._settings((height, width, self._between(-128, 127)), steps)
        kernel = (vectors, kernel_x, kernel_y)
        for _ in range(self._between(1, 5)):
            size = (self._between(1, 4), self._between(1, 4))
            accumulator = self._between(0, 1) * self.half
            accumulator += self._between(0, self.half - size[0] * size[1])
            for part in range(self._between(1, 3)):
                y, x = self._between(-2, height), self._between(-2, width)
                start = (base + y * row + x * pixel, y, x)
                self._chunk(start, size, kernel, accumulator, accumulate=part > 0)

    def fully_connected(self, vectors: int) -> None:
        """A layer of one pixel: every pass is a single vector."""
        steps = [(1, 1, 0, 0)] * 5
        steps[2] = (vectors, 1, 0, 0)
        self._settings((1, 1, 0), steps)
        self._chunk((0, 0, 0), (1, 1), (vectors, 1, 1), 0, accumulate=False)

    def _settings(
        self, image: tuple[int, int, int], steps: list[tuple[int, int, int, int]]
    ) -> None:
        """Height, width and padding; count and steps of address, y and x for each level."""
        height, width, padding = image
        bounds = MatrixInput(height=height, width=width, padding=padding, **self._semaphores())
        self._nest.set_image(bounds)
        self._append(bounds, [], [])
        for level in self.rng.permutation(len(steps)):
            count, address_step, y_step, x_step = steps[level]
            setting = MatrixLoop(
                level=int(level),
                count=count,
                address_step=address_step,
                y_step=y_step,
                x_step=x_step,
                **self._semaphores(),
            )
            self._nest.set_level(setting)
            self._append(setting, [], [])

    def _chunk(
        self,
        start: tuple[int, int, int],
        size: tuple[int, int],
        kernel: tuple[int, int, int],
        accumulator: int,
        *,
        accumulate: bool,
    ) -> None:
        (address, y, x), (rows, columns) = start, size
        matmul = Matmul(
            address=address,
            y=y,
            x=x,
            accumulator=accumulator,
            rows=rows,
            columns=columns,
            accumulate=int(accumulate),
            **self._semaphores(),
        )
        passes = int(np.prod(kernel))
        gathered = self._nest.gather(self.memory, start, (columns, rows, *kernel))
        activations = [
            pack_fields(self.activation, {"vector": vector, "first": int(pixel == 0)})
            for one_pass in gathered.reshape(passes, rows * columns, -1).tolist()
            for pixel, vector in enumerate(one_pass)
        ]
        jobs = [
            pack_fields(
                AccumulateJob,
                {
                    "base": accumulator,
                    "rows": rows,
                    "columns": columns,
                    "overwrite": int(number == 0 and not accumulate),
                    "signal": matmul.signal if number == passes - 1 else 0,
                },
            )
            for number in range(passes)
        ]
        self._append(matmul, activations, jobs)

    @property
    def words(self) -> list[int]:
        """The instructions as the unit gets them."""
        return [instruction.encode() for instruction in self.instructions]

    @property
    def all_activations(self) -> list[int]:
        """Beats of the whole program."""
        return [beat for beats in self.activations for beat in beats]

    @property
    def all_jobs(self) -> list[int]:
        """Jobs of the whole program."""
        return [job for jobs in self.jobs for job in jobs]

    @property
    def setting_signals(self) -> list[int]:
        """What the settings signal, in order."""
        return [i.signal for i in self.instructions if not isinstance(i, Matmul) and i.signal]

    def read(self, address: int) -> int:
        """The scratchpad."""
        return pack_vector(self.memory[address], np.int8)


class Monitor:
    """Checks `busy`, `state` and the semaphores in every cycle."""

    def __init__(self, dut: Any, program: Program) -> None:
        self.signals: list[int] = []
        self._dut = dut
        self._instructions = program.instructions
        self._activations = [0, *accumulate(len(beats) for beats in program.activations)]
        self._jobs = [0, *accumulate(len(jobs) for jobs in program.jobs)]
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self._dut
        started = activations = jobs = 0
        while True:
            await RisingEdge(dut.clk)
            due = activations < self._activations[started] or jobs < self._jobs[started]
            assert dut.busy.value == due, f"busy is {dut.busy.value}, work is left: {due}"
            counts = dut.counts.value.to_unsigned().to_bytes(3, "little")
            assert max(counts) < 200, f"a semaphore at zero was taken: {list(counts)}"
            state = UnitState(dut.state.value.to_unsigned())
            if dut.activations__valid.value:
                ready = dut.activations__ready.value
                expected = UnitState.RUNNING if ready else UnitState.WAITING_ENGINE
            elif activations < self._activations[started]:
                expected = UnitState.WAITING_MEMORY
            elif not dut.instructions__valid.value:
                expected = UnitState.IDLE
            elif not dut.instructions__ready.value:
                expected = UnitState.WAITING_SEMAPHORE
            else:
                is_matmul = isinstance(self._instructions[started], Matmul)
                expected = UnitState.RUNNING if is_matmul else UnitState.IDLE
            assert state == expected, f"state is {state!r}, not {expected!r}"
            if dut.signal.value:
                self.signals.append(dut.signal.value.to_unsigned())
            started += bool(dut.instructions__valid.value and dut.instructions__ready.value)
            activations += bool(dut.activations__valid.value and dut.activations__ready.value)
            jobs += bool(dut.jobs__valid.value and dut.jobs__ready.value)


async def raise_semaphores(dut: Any, bench: BlockBench, program: Program) -> None:
    """Raise, at random times, what the program waits for and does not signal itself."""
    needed = [
        bit
        for instruction in program.instructions
        for bit in Semaphore
        if instruction.wait & bit & COUNTED
    ]
    for bit in needed:
        dut.raises.value = bit
        await bench.cycles()
        dut.raises.value = 0
        await bench.cycles(bench.rng.choice([0, 0, 1, 5, 60]))


@cocotb.test()
@cocotb.parametrize(input_stall=STALLS, memory_stall=STALLS, output_stall=STALLS)
async def programs_run_as_on_the_golden_machine(
    dut: Any, input_stall: Stall, memory_stall: Stall, output_stall: Stall
) -> None:
    dut.raises.value = 0
    bench = await BlockBench.start(dut)
    program = Program(bench, waits=True)
    MemoryModel(
        bench,
        dut,
        "read",
        program.read,
        request_stall=memory_stall,
        response_stall=memory_stall,
    )
    instructions = bench.source("instructions", input_stall)
    activations, jobs = bench.sink("activations", output_stall), bench.sink("jobs", output_stall)
    monitor = Monitor(dut, program)
    cocotb.start_soon(instructions.send(program.words))
    cocotb.start_soon(raise_semaphores(dut, bench, program))
    checking = cocotb.start_soon(
        jobs.check(program.all_jobs, lambda job: fields_of(AccumulateJob, job))
    )
    await activations.check(
        program.all_activations, lambda beat: fields_of(program.activation, beat)
    )
    await checking
    await activations.check_quiet(10)
    await jobs.check_quiet(1)
    assert monitor.signals == program.setting_signals
    assert dut.state.value == UnitState.IDLE


@cocotb.test()
async def jobs_that_wait_hold_back_requests(dut: Any) -> None:
    dut.raises.value = 0
    bench = await BlockBench.start(dut)
    program = Program(bench, waits=False)
    MemoryModel(bench, dut, "read", program.read)
    activations, jobs = bench.sink("activations"), bench.sink("jobs", Stall.LONG)
    cocotb.start_soon(bench.source("instructions").send(program.words))
    checking = cocotb.start_soon(activations.check(program.all_activations))
    await jobs.check(program.all_jobs, lambda job: fields_of(AccumulateJob, job))
    await checking


@cocotb.test()
async def matmuls_follow_without_a_gap(dut: Any) -> None:
    dut.raises.value = 0
    bench = await BlockBench.start(dut)
    program = Program(bench, waits=False)
    MemoryModel(bench, dut, "read", program.read)
    activations, jobs = bench.sink("activations"), bench.sink("jobs")
    cocotb.start_soon(bench.source("instructions").send(program.words))
    cocotb.start_soon(jobs.check(program.all_jobs))
    start = bench.cycle
    settings, beats = 0, 0
    for number, expected in enumerate(program.activations):
        if expected:
            await activations.check(expected)
            beats += len(expected)
            # A cycle for each setting and each vector, and the way from start to engine.
            cycles = bench.cycle - start
            assert cycles == settings + beats + 3, f"instruction {number} ended in cycle {cycles}"
        else:
            settings += 1


@cocotb.test()
async def a_matmul_waits_for_its_semaphores(dut: Any) -> None:
    dut.raises.value = 0
    bench = await BlockBench.start(dut)
    program = Program(bench, waits=False)
    MemoryModel(bench, dut, "read", program.read)
    activations = bench.sink("activations")
    bench.sink("jobs")
    first = next(i for i, beats in enumerate(program.activations) if beats)
    words = program.words[: first + 1]
    words[-1] |= int(COUNTED) << 8
    cocotb.start_soon(bench.source("instructions").send(words))
    await bench.cycles(20)
    for bit in (Semaphore.STORED, Semaphore.DRAINED):
        assert dut.state.value == UnitState.WAITING_SEMAPHORE
        assert dut.wait.value == COUNTED
        assert not dut.busy.value
        dut.raises.value = bit
        await bench.cycles()
        dut.raises.value = 0
        await bench.cycles(2)
    await activations.check(program.activations[first])
    assert dut.counts.value == 0
