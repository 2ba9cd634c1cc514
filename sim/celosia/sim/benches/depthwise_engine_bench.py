"""Bench of `celosia.hdl.npu.depthwise_engine.DepthwiseEngine` against the golden machine's."""

from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.golden.config import DEPTHWISE_STRIP_ROWS, DEPTHWISE_WORDS, config_from_mapping
from celosia.golden.isa import (
    Depthwise,
    DepthwiseWindow,
    LoadDepthwise,
    MatrixInput,
    MatrixLoop,
)
from celosia.golden.machine.depthwise import DepthwiseUnit
from celosia.golden.machine.loops import LoopNest
from celosia.hdl.npu.interfaces import DepthwiseEngineSignature, DepthwiseJob
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import pack_fields, pack_vector, unpack_vector
from celosia.sim.stalls import Stall

JOBS = 25
STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


@dataclass
class Job:
    """What goes into the engine for one DEPTHWISE, and what must come out."""

    steps: int
    job: int
    vectors: list[int]
    weights: list[int]
    sums: list[int]


class Work:
    """Random jobs."""

    def __init__(self, bench: BlockBench) -> None:
        self.config = config_from_mapping(bench.parameters, default_name="bench")
        self.rng = np.random.default_rng(bench.rng.getrandbits(64))
        engine = DepthwiseEngineSignature(self.config.rows, self.config.columns)
        self._shapes = {
            name: engine.members[name].signature.members["payload"].shape
            for name in ("vectors", "weights")
        }

    def _between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def random_jobs(self) -> list[Job]:
        """Jobs of all shapes."""
        return [self._random_job() for _ in range(JOBS)]

    def _random_job(self) -> Job:
        taps = self.config.depthwise_taps
        columns = self._between(1, self.config.depthwise_columns)
        groups = -(-columns // taps)
        rows = self._between(1, min(DEPTHWISE_STRIP_ROWS, DEPTHWISE_WORDS // groups, 5))
        multiplier = self._between(1, 4) if self.rng.random() < 0.5 else 1
        window = DepthwiseWindow(
            rows=rows,
            columns=columns,
            groups=groups,
            stride_y=self._between(1, 3),
            stride_x=self._between(1, 3) if self.rng.random() < 0.8 else self._between(1, 15),
            multiplier=multiplier,
            lane=self._between(0, self.config.rows - 1) if self.rng.random() < 0.5 else 0,
            phase=self._between(0, multiplier - 1),
        )
        most = (DEPTHWISE_STRIP_ROWS - rows) // window.stride_y + 1
        return self.job(window, self._between(1, min(most, 6)), self._between(1, 6))

    def job(self, window: DepthwiseWindow, rows: int, columns: int) -> Job:
        """A job of a window and so many outputs, with random vectors and weights."""
        config, taps = self.config, self.config.depthwise_taps
        depthwise = Depthwise(
            address=0,
            y=0,
            x=0,
            accumulator=0,
            rows=rows,
            columns=columns,
            strip_rows=(rows - 1) * window.stride_y + window.rows,
            strip_columns=(columns - 1) * window.stride_x + window.columns,
        )
        strip = self.rng.integers(
            -128, 128, (depthwise.strip_columns, depthwise.strip_rows, config.rows), np.int8
        )
        words = self.rng.integers(
            -128, 128, (window.groups, window.rows, taps, config.columns), np.int8
        )
        in_groups = np.arange(window.groups * taps).reshape(window.groups, taps)
        words *= (in_groups < window.columns)[:, None, :, None]
        accumulators = np.zeros((rows * columns, config.columns), np.int32)
        nest = LoopNest()
        nest.set_image(MatrixInput(height=1, width=1, padding=0))
        for level, step in enumerate((1, depthwise.strip_rows)):
            nest.set_level(MatrixLoop(level=level, count=1, address_step=step))
        weights = words.reshape(-1, config.columns)
        golden = DepthwiseUnit(
            config, nest, strip.reshape(-1, config.rows), weights.view(np.uint8), accumulators
        )
        golden.depthwise_window(window)
        golden.load_depthwise(LoadDepthwise(address=0, vectors=len(weights)))
        golden.depthwise(depthwise)
        fields = {
            "rows": rows,
            "columns": columns,
            "window": {name: getattr(window, name) for name, _ in DepthwiseJob["window"].shape},
        }
        return Job(
            steps=rows * columns * window.rows * window.groups,
            job=pack_fields(DepthwiseJob, fields),
            vectors=[
                pack_fields(
                    self._shapes["vectors"],
                    {
                        "vector": vector.tolist(),
                        "column_end": int(row == len(column) - 1),
                        "strip_end": int((number, row) == (len(strip) - 1, len(column) - 1)),
                    },
                )
                for number, column in enumerate(strip)
                for row, vector in enumerate(column)
            ],
            weights=[
                pack_fields(
                    self._shapes["weights"],
                    {"vector": vector.tolist(), "last": int(number == len(weights) - 1)},
                )
                for number, vector in enumerate(weights)
            ],
            sums=[pack_vector(vector, np.int32) for vector in accumulators],
        )

    def show(self, payload: int) -> list[int]:
        """A sum's lanes."""
        lanes: list[int] = unpack_vector(payload, self.config.columns, np.int32).tolist()
        return lanes


class Monitor:
    """Counts the cycles in which the engine computes, from first to last."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        self.cycles: list[int] = []
        self.waiting = 0
        self._dut = dut
        self._bench = bench
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self._bench.clk)
            if self._dut.computing.value:
                self.cycles.append(self._bench.cycle)
            self.waiting += bool(self._dut.waiting.value)


def feed(bench: BlockBench, jobs: list[Job], stalls: dict[str, Stall]) -> list[Any]:
    """Send everything that the jobs take; returns the tasks."""
    beats = {
        "jobs": [job.job for job in jobs],
        "vectors": [beat for job in jobs for beat in job.vectors],
        "weights": [beat for job in jobs for beat in job.weights],
    }
    return [
        cocotb.start_soon(bench.source(name, stalls.get(name, Stall.NEVER)).send(values))
        for name, values in beats.items()
    ]


@cocotb.test()
@cocotb.parametrize(
    vectors_stall=STALLS, weights_stall=[Stall.NEVER, Stall.BURSTS], sums_stall=list(Stall)
)
async def sums_are_those_of_the_golden_machine(
    dut: Any, vectors_stall: Stall, weights_stall: Stall, sums_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    work = Work(bench)
    jobs = work.random_jobs()
    stalls = {"jobs": vectors_stall, "vectors": vectors_stall, "weights": weights_stall}
    monitor = Monitor(dut, bench)
    sums = bench.sink("sums", sums_stall)
    feed(bench, jobs, stalls)
    await sums.check([beat for job in jobs for beat in job.sums], work.show)
    await sums.check_quiet(10)
    assert len(monitor.cycles) == sum(job.steps for job in jobs)


@cocotb.test()
async def steps_follow_without_a_gap(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    work = Work(bench)
    taps = work.config.depthwise_taps
    window = DepthwiseWindow(rows=3, columns=3, groups=-(-3 // taps), stride_y=1, stride_x=1)
    jobs = [work.job(window, rows, columns) for rows, columns in ((5, 7), (14, 2), (8, 4), (3, 9))]
    monitor = Monitor(dut, bench)
    sums = bench.sink("sums")
    sending = feed(bench, jobs, {})
    start = bench.cycle
    await sums.check([beat for job in jobs for beat in job.sums])
    if window.groups == 1:
        # As fast as vectors arrive is as fast as it gets where a step takes a window's row.
        steps = sum(job.steps for job in jobs)
        assert monitor.cycles == list(range(monitor.cycles[0], monitor.cycles[0] + steps))
        # Three columns of seven rows, and the way of the job to the first step.
        assert monitor.cycles[0] - start <= 21 + 7, monitor.cycles[0] - start
    for task in sending:
        assert task.done()


@cocotb.test()
async def a_job_waits_for_its_weights(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    work = Work(bench)
    window = DepthwiseWindow(
        rows=2, columns=1, groups=1, stride_y=1, stride_x=1, multiplier=2, lane=1, phase=1
    )
    job = work.job(window, 3, 3)
    monitor = Monitor(dut, bench)
    sums = bench.sink("sums")
    weights = bench.source("weights")
    cocotb.start_soon(bench.source("jobs").send([job.job]))
    cocotb.start_soon(bench.source("vectors").send(job.vectors))
    await bench.cycles(60)
    assert not monitor.cycles
    assert monitor.waiting > 20
    cocotb.start_soon(weights.send(job.weights))
    await sums.check(job.sums, work.show)
    assert not dut.waiting.value


@cocotb.test()
async def loading_goes_on_while_sums_wait(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    work = Work(bench)
    window = DepthwiseWindow(rows=1, columns=1, groups=1, stride_y=1, stride_x=1)
    jobs = [work.job(window, 4, 4) for _ in range(5)]
    dut.sums__ready.value = 0
    vectors = bench.source("vectors")
    for name in ("jobs", "weights"):
        beats = [job.job for job in jobs] if name == "jobs" else jobs[0].weights
        cocotb.start_soon(bench.source(name).send(beats))
    cocotb.start_soon(vectors.send([beat for job in jobs for beat in job.vectors]))
    await bench.cycles(200)
    taken = int(vectors.status().split("beat ")[1].split()[0])
    # All columns of the ring, those that were read already aside.
    assert taken >= 4 * work.config.depthwise_columns, vectors.status()


@cocotb.test()
async def reset_forgets_what_is_under_way(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    work = Work(bench)
    sources = {name: bench.source(name) for name in ("jobs", "vectors", "weights")}
    sums = bench.sink("sums")
    for _ in range(8):
        jobs = work.random_jobs()[:4]
        beats = {
            "jobs": [job.job for job in jobs],
            "vectors": [beat for job in jobs for beat in job.vectors],
            "weights": [beat for job in jobs for beat in job.weights],
        }
        tasks = [cocotb.start_soon(sources[name].send(values)) for name, values in beats.items()]
        await bench.cycles(bench.rng.randrange(3, 300))
        for task in tasks:
            task.cancel()
        await bench.reset()
        tasks = [cocotb.start_soon(sources[name].send(values)) for name, values in beats.items()]
        await sums.check([beat for job in jobs for beat in job.sums], work.show)
