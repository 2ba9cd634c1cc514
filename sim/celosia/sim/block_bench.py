"""Benches for one block of gateware: `run_block_bench` outside the simulator, `BlockBench` inside.

A bench is a cocotb module in `celosia.sim.benches`; a pytest test launches it with
`run_block_bench`.
"""

import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import cocotb
from amaranth.lib.wiring import Component
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from celosia.hdl.emit import emit_verilog
from celosia.sim.gate_level import Netlist
from celosia.sim.simulation import SimulationResult
from celosia.sim.stalls import Stall
from celosia.sim.streams import StreamSink, StreamSource
from celosia.sim.verilator_build import build_simulation

_PARAMETERS = "CELOSIA_BENCH_PARAMETERS"
_WAVES = "CELOSIA_BENCH_WAVES"
_CLOCK_PERIOD_NS = 10


def run_block_bench(
    component_factory: "Callable[..., Component[Any]]",
    test_module: str,
    *,
    name: str,
    parameters: Mapping[str, Any],
    seed: int,
    test_filter: str | None = None,
    netlist: Netlist | None = None,
    timeout_s: float = 300,
) -> SimulationResult:
    """Emit a block's Verilog, build it through the cache and run its bench.

    If the environment variable ``CELOSIA_BENCH_WAVES`` names a folder, the run writes its waves
    to ``<name>.fst`` there.

    Parameters
    ----------
    component_factory : callable
        Makes the block; called with ``parameters`` as keywords.
    test_module : str
        Import path of the cocotb module.
    name : str
        Name of the Verilog top.
    parameters : mapping of str to JSON value
        The block's parameters, which the bench finds in `BlockBench.parameters`.
    seed : int
        Seed of everything random in the bench; printed.
    test_filter : str, optional
        Regular expression that selects tests by name.
    netlist : callable, optional
        What is simulated in place of the block's Verilog: `gate_level.mapped` of an FPGA family.
    timeout_s : float
        Seconds of wall time after which the simulator is killed.

    Raises
    ------
    SimulationFailed
        If any test fails, or the simulator doesn't end well.
    """
    waves = os.environ.get(_WAVES)
    print(f"{test_module} {dict(parameters)} seed={seed}")
    verilog = emit_verilog(component_factory(**parameters), name)
    sources = {f"{name}.v": verilog} if netlist is None else netlist(verilog, name)
    simulation = build_simulation(sources, name, trace_fst=bool(waves), quick=netlist is not None)
    return simulation.run(
        test_module,
        test_filter=test_filter,
        env={_PARAMETERS: json.dumps(dict(parameters))},
        seed=seed,
        waves=Path(waves, f"{name}.fst") if waves else None,
        timeout_s=timeout_s,
    )


class BlockBench:
    """Clock, reset, watchdog and the ends of the DUT's streams, inside the simulator.

    Made by `start`.

    Attributes
    ----------
    parameters : dict
        What `run_block_bench` was given.
    rng : random.Random
        Source of everything random, seeded by the run's seed and the test's name.
    clk : handle
        The DUT's clock.
    """

    def __init__(self, dut: Any) -> None:
        self.parameters: dict[str, Any] = json.loads(os.environ[_PARAMETERS])
        self.rng = random.Random(cocotb.RANDOM_SEED)  # cocotb derives it anew for each test
        self.clk = dut.clk
        self._dut = dut
        self._sources: list[StreamSource] = []
        self._sinks: list[StreamSink] = []

    @classmethod
    async def start(cls, dut: Any, *, timeout_cycles: int = 100_000) -> Self:
        """Start the clock, and one of twice its frequency where the DUT has a domain `double`;
        reset the DUT and set the watchdog.

        A test that hasn't ended ``timeout_cycles`` later fails with what every source and sink
        was waiting for. Make sources and sinks right after this.
        """
        bench = cls(dut)
        Clock(dut.clk, _CLOCK_PERIOD_NS, "ns").start()
        if hasattr(dut, "double_clk"):
            Clock(dut.double_clk, _CLOCK_PERIOD_NS / 2, "ns").start()
        cocotb.start_soon(bench._watchdog(timeout_cycles))
        await bench.reset()
        return bench

    async def reset(self, cycles: int = 2) -> None:
        """Hold reset for some cycles; what was under way is forgotten on both sides.

        A test that resets amid a `StreamSource.send` must cancel its task first.
        """
        for source in self._sources:
            source.withdraw()
        for sink in self._sinks:
            sink.look_away()
        self._dut.rst.value = 1
        await ClockCycles(self.clk, cycles)
        self._dut.rst.value = 0
        for sink in self._sinks:
            sink.look_again()

    async def cycles(self, count: int = 1) -> None:
        """Wait for clock edges."""
        for _ in range(count):
            await RisingEdge(self.clk)

    @property
    def cycle(self) -> int:
        """Clock cycles since the simulation began."""
        return int(get_sim_time("ns")) // _CLOCK_PERIOD_NS

    def source(self, prefix: str, stall: Stall = Stall.NEVER) -> StreamSource:
        """An end that sends into the DUT's stream ``prefix``."""
        source = StreamSource(self._dut, prefix, self.clk, stall=stall, rng=self.rng)
        self._sources.append(source)
        return source

    def sink(self, prefix: str, stall: Stall = Stall.NEVER) -> StreamSink:
        """An end that receives from the DUT's stream ``prefix``."""
        sink = StreamSink(self._dut, prefix, self.clk, stall=stall, rng=self.rng)
        self._sinks.append(sink)
        return sink

    async def _watchdog(self, timeout_cycles: int) -> None:
        await ClockCycles(self.clk, timeout_cycles)
        ends: list[StreamSource | StreamSink] = [*self._sources, *self._sinks]
        states = "; ".join(end.status() for end in ends)
        raise AssertionError(f"no end after {timeout_cycles} cycles: {states or 'no streams'}")
