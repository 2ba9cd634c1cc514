"""The virtual board: the RTL of a board, UART included, behind a pseudo-terminal."""

import hashlib
import importlib.metadata
import importlib.resources
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from celosia.golden.config import NpuConfig
from celosia.golden.link.identity import board_identity
from celosia.hdl.emit import emit_verilog
from celosia.hdl.link.linked_npu import LinkedNpu, UartNpu
from celosia.hdl.link.uart import PHASE_BITS
from celosia.sim.design_verilog import design_verilog
from celosia.sim.verilator_build import build_simulation

BOARD_TOP = "celosia_board"
HARNESS_TOP = "board_harness"
HARNESS_BYTES = 4096
"""Bytes of the line that a burst of the harness takes or gives at most."""
BIT_CYCLES = 8
"""Clock cycles of a bit on the UART's wires."""
_LOOK_S = 0.02


class VirtualBoard:
    """A built simulation of a board.

    Attributes:
        identity: who it says it is.
    """

    def __init__(self, config: NpuConfig, *, bulk: bool) -> None:
        build = hashlib.sha256(design_verilog(config).encode()).digest()
        self.identity = board_identity(config, importlib.metadata.version("celosia"), build)
        if bulk:
            component: LinkedNpu | UartNpu = LinkedNpu(config, self.identity)
        else:
            component = UartNpu(config, self.identity, step=(1 << PHASE_BITS) // BIT_CYCLES)
        harness = importlib.resources.files("celosia.sim").joinpath("board_harness.v").read_text()
        defines = f"`define CELOSIA_BYTES {HARNESS_BYTES}\n`define CELOSIA_BIT {BIT_CYCLES}\n"
        defines += "`define CELOSIA_BULK\n" if bulk else ""
        self._simulation = build_simulation(
            {"board.v": emit_verilog(component, BOARD_TOP), "board_harness.v": defines + harness},
            HARNESS_TOP,
            timing=True,
        )

    def serve(self, opened: Callable[[str], None]) -> None:
        """Serve a pseudo-terminal until this process is interrupted; `opened` gets its name.

        Raises:
            SimulationFailed: the simulator crashed or an assertion in the gateware failed.
        """
        with tempfile.TemporaryDirectory(prefix="celosia-serve-") as folder:
            port, ended = Path(folder, "port"), threading.Event()

            def look() -> None:
                while not ended.is_set():
                    if port.exists():
                        opened(port.read_text())
                        return
                    time.sleep(_LOOK_S)

            looker = threading.Thread(target=look, daemon=True)
            looker.start()
            try:
                self._simulation.run(
                    "celosia.sim.benches.serve_run", env={"CELOSIA_PORT_FILE": str(port)}
                )
            finally:
                ended.set()
                looker.join()
