"""Benchmarks: speed of simulation and of the golden model.

Times depend on the machine, so that ratios of one run are what to keep.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from celosia.compiler.program import Program
from celosia.golden.graph import Graph
from celosia.golden.interpreter import Interpreter
from celosia.golden.memory_map import Counter
from celosia.runtime.host_schedule import Runs
from celosia.runtime.inputs import random_samples
from celosia.runtime.rtl_device import RtlDevice
from celosia.runtime.run import RunReport
from celosia.runtime.session import Session
from celosia.sim.bare_loop import time_bare_loop
from celosia.sim.host_script import HostScript
from celosia.sim.verilator_build import Visibility

_REPETITIONS = 5
_SEED = 1


@dataclass(frozen=True)
class SimulationSpeed:
    """One way to simulate the same network on the same design."""

    how: str
    build_s: float
    cycles_per_s: float


def simulation_speeds(program: Program, inferences: int) -> Iterator[SimulationSpeed]:
    """Build and time the whole NPU in three ways, without any cache; the fastest of five runs.

    Each run loads the program and infers `inferences` times. Yields Celosia's way under cocotb, the
    same design built as cocotb's runner builds by default, and a bare C++ loop.
    """
    samples = random_samples(list(program.signature_inputs.values()), inferences, _SEED)
    inputs = [program.prepare(sample)[1] for sample in samples]
    ways: tuple[tuple[str, Visibility], ...] = (
        ("cocotb, as Celosia builds", "ports"),
        ("cocotb, as its runner builds by default", "default"),
    )
    for how, visibility in ways:
        with _empty_cache():
            device = RtlDevice(program, visibility=visibility)
            fastest = 0.0
            for _ in range(_REPETITIONS):
                before = device.measured
                device.run(inputs)
                cycles = device.measured.simulated_cycles - before.simulated_cycles
                fastest = max(fastest, cycles / (device.measured.wall_s - before.wall_s))
        yield SimulationSpeed(how, device.measured.build_s, fastest)
    script = HostScript(program.config)
    Runs(program, script, inputs)
    build_s, cycles, wall_s = time_bare_loop(program.config, script, _REPETITIONS)
    yield SimulationSpeed("bare C++ loop", build_s, cycles / wall_s)


def batched_report(session: Session) -> RunReport:
    """The report of a few batches in RTL, so that those with overlapping transfers are compared."""
    program = session.program
    session.open("rtl")
    return session.run(random_samples(program.sample_inputs, 3 * program.batch, _SEED)).report


@dataclass(frozen=True)
class ModelAgreement:
    """Cycles of one inference by the cycle model beside those in RTL.

    `worst_layer` is the largest deviation of a layer, as a share of its cycles in RTL.
    """

    cycles: int
    worst_layer: float


def compare_model(program: Program, report: RunReport) -> ModelAgreement:
    """Hold the cycle model to a report of the RTL, layer by layer."""
    modelled = program.modelled
    layers = zip(report.layers, modelled.layers(len(program.layers)), strict=True)
    worst = max(
        abs(spent[Counter.CYCLES] - layer.cycles) / layer.cycles
        for layer, spent in layers
        if layer.cycles  # None beyond what the NPU keeps
    )
    cycles = -(-modelled.counters[Counter.CYCLES] // program.batch)
    return ModelAgreement(cycles, round(worst, 6))


@dataclass(frozen=True)
class GoldenSpeed:
    """Milliseconds of one inference; None where the interpreter isn't installed."""

    celosia_ms: float
    tflite_micro_ms: float | None


def golden_speed(graph: Graph, model: bytes) -> GoldenSpeed:
    """Time the golden interpreter, rounding as `tflm`, beside the `tflite-micro` wheel.

    `model` holds the bytes that `graph` was imported from. The best of 20 inferences counts.
    """
    (sample,) = random_samples([graph.tensors[i] for i in graph.inputs], 1, _SEED)
    interpreter = Interpreter(graph)
    ours = _best_ms(lambda: interpreter.run(sample))
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        return GoldenSpeed(ours, None)
    referee = runtime.Interpreter.from_bytes(model)
    for index, value in enumerate(sample):
        referee.set_input(value, index)
    return GoldenSpeed(ours, _best_ms(referee.invoke))


def _best_ms(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(20):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return 1000 * best


@contextmanager
def _empty_cache() -> Iterator[None]:
    """A cache of its own, so that a build is really a build."""
    kept = os.environ.get("CELOSIA_CACHE")
    with tempfile.TemporaryDirectory(prefix="celosia-bench-") as folder:
        os.environ["CELOSIA_CACHE"] = folder
        try:
            yield
        finally:
            if kept is None:
                del os.environ["CELOSIA_CACHE"]
            else:
                os.environ["CELOSIA_CACHE"] = kept
