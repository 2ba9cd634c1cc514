"""The cocotb side of a run of the whole NPU: let the harness go and wait for its end."""

import json
import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def run(dut: Any) -> None:
    """The harness carries out its script; nothing of Python's runs until it is through."""
    begin = time.perf_counter()
    dut.go.value = 1
    await RisingEdge(dut.finished)
    measured = {
        "wall_s": time.perf_counter() - begin,
        "cycles": dut.cycles.value.to_unsigned(),
        "timed_out": bool(dut.timed_out.value),
    }
    Path(os.environ["CELOSIA_MEASURED"]).write_text(json.dumps(measured))
