"""The whole NPU in Verilator: built once for a configuration, then driven by host scripts."""

import importlib.resources
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from celosia.golden.config import NpuConfig
from celosia.hdl.emit import emit_verilog
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierPlan
from celosia.hdl.npu.npu import Npu
from celosia.hdl.tops import TOPS
from celosia.sim.design_verilog import design_verilog
from celosia.sim.gate_level import Netlist
from celosia.sim.host_script import HostScript, ScriptResult
from celosia.sim.simulation import Simulation
from celosia.sim.verilator_build import Visibility, build_simulation

HARNESS_TOP = "npu_harness"


class NpuSimulation:
    """A built simulation of an NPU: of its Verilog, or of what `netlist` makes of that.

    `plusargs` reach every run, for models of cells that look at them.

    Attributes:
        config: what was built.
        build_s: seconds that emitting and building took; near zero where both were cached.
    """

    def __init__(
        self,
        config: NpuConfig,
        *,
        trace_fst: bool = False,
        visibility: Visibility = "ports",
        netlist: Netlist | None = None,
        multipliers: MultiplierPlan = EXPRESSIONS,
        memories: MemoryPlan = INFERRED,
        plusargs: Sequence[str] = (),
    ) -> None:
        begin = time.perf_counter()
        self.config = config
        self._plusargs = plusargs
        self._simulation = _build(
            _verilog(config, multipliers, memories),
            trace_fst,
            visibility,
            netlist,
            memories.doubles_clock,
        )
        self.build_s = time.perf_counter() - begin

    def run(self, script: HostScript, *, waves: Path | None = None) -> ScriptResult:
        """Carry a script out from reset.

        Raises:
            SimulationFailed: the simulator crashed or an assertion in the gateware failed.
        """
        with tempfile.TemporaryDirectory(prefix="celosia-npu-") as name:
            folder = Path(name)
            (folder / "commands").write_bytes(script.encode())
            self.carry_out(folder, waves=waves)
            lines = (folder / "answers").read_text().split()
            words = np.array([int(line, 16) for line in lines], np.uint32)
            return ScriptResult(answers=words, **json.loads((folder / "measured").read_text()))

    def carry_out(
        self, folder: Path, *, waves: Path | None = None, stop: threading.Event | None = None
    ) -> None:
        """Carry out `commands` of a folder, a script or a pipe; leave `answers` and `measured`.

        Raises:
            SimulationFailed: as `run`; or `stop` was set.
        """
        self._simulation.run(
            "celosia.sim.benches.npu_run",
            env={"CELOSIA_MEASURED": str(folder / "measured")},
            plusargs=[
                f"+commands={folder / 'commands'}",
                f"+answers={folder / 'answers'}",
                *self._plusargs,
            ],
            waves=waves,
            stop=stop,
        )


def _verilog(config: NpuConfig, multipliers: MultiplierPlan, memories: MemoryPlan) -> str:
    if multipliers == EXPRESSIONS and memories == INFERRED:
        return design_verilog(config)
    return emit_verilog(Npu(config, multipliers, memories), TOPS["npu"].module)


def _build(
    verilog: str,
    trace_fst: bool,
    visibility: Visibility,
    netlist: Netlist | None,
    double_clock: bool,
) -> Simulation:
    sources = {"npu.v": verilog} if netlist is None else netlist(verilog, TOPS["npu"].module)
    harness = importlib.resources.files("celosia.sim").joinpath("npu_harness.v").read_text()
    if double_clock:
        harness = f"`define DOUBLE_CLOCK\n{harness}"
    return build_simulation(
        {**sources, "npu_harness.v": harness},
        HARNESS_TOP,
        timing=True,
        trace_fst=trace_fst,
        visibility=visibility,
        quick=netlist is not None,
    )
