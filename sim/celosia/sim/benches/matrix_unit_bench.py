"""Bench of `celosia.hdl.npu.matrix_unit.MatrixUnit` against the golden machine's loop nest.

The DUT is the unit with its semaphores (`tests/cosim/test_matrix_unit.py`).
"""

from functools import partial
from itertools import accumulate
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import (
    Depthwise,
    DepthwiseWindow,
    Instruction,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Product,
    Semaphore,
)
from celosia.golden.machine.loops import LoopNest
from celosia.golden.memory_map import UnitState
from celosia.hdl.npu.interfaces import (
    AccumulateJob,
    CrossbarEngineSignature,
    DepthwiseEngineSignature,
    DepthwiseJob,
    MatrixEngineSignature,
)
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.packing import fields_of, pack_fields, pack_vector
from celosia.sim.stalls import Stall

LAYERS = 8
DEPTH = 2048
COUNTED = Semaphore.DRAINED | Semaphore.STORED
STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]
NAMED = (1 << len(Semaphore)) - 1
"""Semaphores that a job carries: no others are counted."""
WORK = (Matmul, Depthwise, Product)
"""What isn't a setting."""


class Program:
    """Chunks of random convolutions: the instructions, and what must come of them.

    Depthwise ones, and some on crossbar tiles, are among them where the configuration has engines
    for them.
    """

    def __init__(self, bench: BlockBench, *, waits: bool, layers: int = LAYERS) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        self.rng = np.random.default_rng(bench.rng.getrandbits(64))
        self.memory = self.rng.integers(-128, 128, (DEPTH, config.rows), np.int8)
        self.half = config.accumulator_depth // 2
        engine = MatrixEngineSignature(config.rows, config.columns)
        self.activation = engine.members["activations"].signature.members["payload"].shape
        depthwise = DepthwiseEngineSignature(config.rows, config.columns)
        self.strip_vector = depthwise.members["vectors"].signature.members["payload"].shape
        pixels = CrossbarEngineSignature(config.rows, config.columns)
        self.pixel_vector = pixels.members["vectors"].signature.members["payload"].shape
        self.has_crossbar = config.crossbar is not None
        self.waits = waits
        self.instructions: list[Instruction] = []
        self.activations: list[list[int]] = []
        self.jobs: list[list[int]] = []
        self.strips: list[list[int]] = []
        self.pixels: list[list[int]] = []
        self.depthwise_jobs: list[int] = []
        self._nest = LoopNest()
        self._window = self._random_window()
        for number in range(layers):
            if number % 3 == 2 and self.has_crossbar:
                self._products()
            else:
                self._layer(depthwise=number % 2 == 1 and config.depthwise_taps > 0)

    def _append(
        self,
        instruction: Instruction,
        activations: list[int],
        jobs: list[int],
        strip: list[int] | None = None,
        pixels: list[int] | None = None,
    ) -> None:
        self.instructions.append(instruction)
        self.activations.append(activations)
        self.jobs.append(jobs)
        self.strips.append(strip or [])
        self.pixels.append(pixels or [])

    def _between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _semaphores(self) -> dict[str, int]:
        if not self.waits:
            return {}
        return {"wait": self._between(0, 127) & ~1, "signal": self._between(0, 127)}

    def _layer(self, *, depthwise: bool) -> None:
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

    def _products(self) -> None:
        """Shares of a layer on crossbar tiles: a pixel's vectors are the innermost levels."""
        height, width, vectors = (self._between(1, n) for n in (9, 9, 3))
        base = self._between(0, DEPTH - height * width * vectors)
        row, pixel = width * vectors, vectors
        columns, rows = self._between(1, 4), self._between(1, 4)
        kernel_rows = self._between(1, 3)
        steps = [
            (self._between(1, 9), 1, 0, 0),  # the counts of levels 0 and 1 come with a PRODUCT
            (self._between(1, 9), pixel, 0, 1),
            (kernel_rows, row, 1, 0),
            (columns, pixel * self._between(1, 2), 0, self._between(1, 2)),
            (rows, row, self._between(1, 2), 0),
        ]
        self._settings((height, width, self._between(-128, 127)), steps)
        for _ in range(self._between(1, 4)):
            y, x = self._between(-2, height), self._between(-2, width)
            product = Product(
                address=base + y * row + x * pixel,
                y=y,
                x=x,
                accumulator=self._between(0, 2 * self.half - rows * columns),
                vectors=self._between(1, vectors),
                kernel_columns=self._between(1, 3),
                tile=self._between(0, 1023),
                accumulate=self._between(0, 1),
                **self._semaphores(),
            )
            counts = (product.vectors, product.kernel_columns, kernel_rows, columns, rows)
            start = (product.address, y, x)
            taken = self._nest.gather(self.memory, start, counts).reshape(
                rows * columns, -1, self.memory.shape[1]
            )
            beats = [
                pack_fields(
                    self.pixel_vector,
                    {
                        "vector": vector.tolist(),
                        "tile": product.tile,
                        "pixel_end": int(number + 1 == len(of_pixel)),
                    },
                )
                for of_pixel in taken
                for number, vector in enumerate(of_pixel)
            ]
            job = {
                "base": product.accumulator,
                "rows": rows,
                "columns": columns,
                "overwrite": int(not product.accumulate),
                "signal": product.signal & NAMED,
                "crossbar": 1,
            }
            self._append(product, [], [pack_fields(AccumulateJob, job)], pixels=beats)

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
                    "signal": matmul.signal & NAMED if number == passes - 1 else 0,
                },
            )
            for number in range(passes)
        ]
        self._append(matmul, activations, jobs)

    def _random_window(self) -> DepthwiseWindow:
        fields = {
            item.name: self._between(*item.bits.limits)
            for item in DepthwiseWindow.layout()
            if item.name in DepthwiseJob["window"].shape.members
        }
        return DepthwiseWindow(**fields, **self._semaphores())

    def _depthwise(self, start: tuple[int, int, int], size: tuple[int, int]) -> None:
        """MATRIX passes the window and the size on; only the strip's matters to it."""
        (address, y, x), (rows, columns) = start, size
        if self.rng.random() < 0.5:
            self._window = self._random_window()
            self._append(self._window, [], [])
        accumulator = self._between(0, 1) * self.half
        depthwise = Depthwise(
            address=address,
            y=y,
            x=x,
            accumulator=accumulator,
            rows=rows,
            columns=columns,
            strip_rows=self._between(1, 6),
            strip_columns=self._between(1, 6),
            **self._semaphores(),
        )
        strip = (depthwise.strip_rows, depthwise.strip_columns)
        vectors = self._nest.gather(self.memory, start, strip).reshape(-1, self.memory.shape[1])
        beats = [
            pack_fields(
                self.strip_vector,
                {
                    "vector": vector.tolist(),
                    "column_end": int((number + 1) % strip[0] == 0),
                    "strip_end": int(number + 1 == len(vectors)),
                },
            )
            for number, vector in enumerate(vectors)
        ]
        job = pack_fields(
            AccumulateJob,
            {
                "base": accumulator,
                "rows": columns,
                "columns": rows,
                "overwrite": 1,
                "signal": depthwise.signal & NAMED,
                "depthwise": 1,
            },
        )
        members = DepthwiseJob["window"].shape.members
        window = {name: getattr(self._window, name) for name in members}
        fields = {"rows": rows, "columns": columns, "window": window}
        self.depthwise_jobs.append(pack_fields(DepthwiseJob, fields))
        self._append(depthwise, [], [job], beats)

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
        return [i.signal for i in self.instructions if not isinstance(i, WORK) and i.signal]

    @property
    def all_strips(self) -> list[int]:
        """Vectors for the depthwise engine of the whole program."""
        return [beat for beats in self.strips for beat in beats]

    @property
    def all_pixels(self) -> list[int]:
        """Vectors for the crossbar of the whole program."""
        return [beat for beats in self.pixels for beat in beats]

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
        self._strips = [0, *accumulate(len(beats) for beats in program.strips)]
        self._pixels = [0, *accumulate(len(beats) for beats in program.pixels)]
        self._has_crossbar = program.has_crossbar
        self._jobs = [0, *accumulate(len(jobs) for jobs in program.jobs)]
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self._dut
        started = activations = strips = pixels = jobs = 0
        while True:
            await RisingEdge(dut.clk)
            vectors_due = (
                activations < self._activations[started]
                or strips < self._strips[started]
                or pixels < self._pixels[started]
            )
            due = vectors_due or jobs < self._jobs[started]
            assert dut.busy.value == due, f"busy is {dut.busy.value}, work is left: {due}"
            counts = dut.counts.value.to_unsigned().to_bytes(3, "little")
            assert max(counts) < 200, f"a semaphore at zero was taken: {list(counts)}"
            state = UnitState(dut.state.value.to_unsigned())
            offered, ready = dut.activations__valid.value, dut.activations__ready.value
            if dut.depthwise_vectors__valid.value:
                assert not offered, "a vector goes to both engines"
                offered, ready = 1, dut.depthwise_vectors__ready.value
            if self._has_crossbar and dut.crossbar_vectors__valid.value:
                assert not offered, "a vector goes to two engines"
                offered, ready = 1, dut.crossbar_vectors__ready.value
            if offered:
                expected = UnitState.RUNNING if ready else UnitState.WAITING_ENGINE
            elif vectors_due:
                expected = UnitState.WAITING_MEMORY
            elif not dut.instructions__valid.value:
                expected = UnitState.IDLE
            elif not dut.wait_granted.value:
                expected = UnitState.WAITING_SEMAPHORE
            else:
                is_work = isinstance(self._instructions[started], WORK)
                expected = UnitState.RUNNING if is_work else UnitState.IDLE
            assert state == expected, f"state is {state!r}, not {expected!r}"
            if dut.signal.value:
                self.signals.append(dut.signal.value.to_unsigned())
            started += bool(dut.instructions__valid.value and dut.instructions__ready.value)
            activations += bool(dut.activations__valid.value and dut.activations__ready.value)
            strips += bool(
                dut.depthwise_vectors__valid.value and dut.depthwise_vectors__ready.value
            )
            if self._has_crossbar:
                pixels += bool(
                    dut.crossbar_vectors__valid.value and dut.crossbar_vectors__ready.value
                )
            jobs += bool(dut.jobs__valid.value and dut.jobs__ready.value)


class Sinks:
    """The unit's output streams."""

    def __init__(
        self,
        bench: BlockBench,
        program: Program,
        stall: Stall = Stall.NEVER,
        jobs_stall: Stall | None = None,
    ) -> None:
        self.pixels = bench.sink("crossbar_vectors", stall) if program.has_crossbar else None
        self.activations = bench.sink("activations", stall)
        self.strips = bench.sink("depthwise_vectors", stall)
        self.depthwise_jobs = bench.sink("depthwise_jobs", stall)
        self.jobs = bench.sink("jobs", stall if jobs_stall is None else jobs_stall)

    async def check(self, program: Program) -> None:
        """Receive all that the program gives, and nothing more."""
        checks = [
            cocotb.start_soon(sink.check(beats, partial(fields_of, shape)))
            for sink, beats, shape in (
                (self.activations, program.all_activations, program.activation),
                (self.strips, program.all_strips, program.strip_vector),
                (self.depthwise_jobs, program.depthwise_jobs, DepthwiseJob),
                (self.jobs, program.all_jobs, AccumulateJob),
            )
        ]
        if self.pixels is not None:
            decode = partial(fields_of, program.pixel_vector)
            checks.append(cocotb.start_soon(self.pixels.check(program.all_pixels, decode)))
        for check in checks:
            await check
        await self.activations.check_quiet(10)
        for sink in (self.strips, self.depthwise_jobs, self.jobs, self.pixels):
            if sink is None:
                continue
            await sink.check_quiet(1)


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
    sinks = Sinks(bench, program, output_stall)
    monitor = Monitor(dut, program)
    cocotb.start_soon(instructions.send(program.words))
    cocotb.start_soon(raise_semaphores(dut, bench, program))
    await sinks.check(program)
    assert monitor.signals == program.setting_signals
    assert dut.state.value == UnitState.IDLE


@cocotb.test()
async def jobs_that_wait_hold_back_requests(dut: Any) -> None:
    dut.raises.value = 0
    bench = await BlockBench.start(dut)
    program = Program(bench, waits=False)
    MemoryModel(bench, dut, "read", program.read)
    sinks = Sinks(bench, program, jobs_stall=Stall.LONG)
    cocotb.start_soon(bench.source("instructions").send(program.words))
    await sinks.check(program)


@cocotb.test()
async def instructions_follow_without_a_gap(dut: Any) -> None:
    dut.raises.value = 0
    bench = await BlockBench.start(dut)
    program = Program(bench, waits=False)
    MemoryModel(bench, dut, "read", program.read)
    sinks = Sinks(bench, program)
    cocotb.start_soon(bench.source("instructions").send(program.words))
    start = bench.cycle
    settings, beats = 0, 0
    for number, (vectors, strip, pixels) in enumerate(
        zip(program.activations, program.strips, program.pixels, strict=True)
    ):
        if vectors or strip or pixels:
            await sinks.activations.check(vectors)
            await sinks.strips.check(strip)
            if sinks.pixels is not None:
                await sinks.pixels.check(pixels)
            beats += len(vectors) + len(strip) + len(pixels)
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
    activations = Sinks(bench, program).activations
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
