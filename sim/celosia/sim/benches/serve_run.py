"""The cocotb side of a virtual board: bytes between a pseudo-terminal and the harness."""

import os
import select
import tty
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Edge

from celosia.sim.virtual_board import HARNESS_BYTES

BURST_CYCLES = 2000
"""Cycles between two looks at the terminal."""
QUIET_CYCLES = 100_000
"""Cycles without a byte on the line after which the clock stands still until there is one."""


@cocotb.test()
async def serve(dut: Any) -> None:
    """Serve until somebody ends the process."""
    master, slave = os.openpty()
    tty.setraw(slave)  # kept open, so that clients may come and go
    os.set_blocking(master, False)
    port = Path(os.environ["CELOSIA_PORT_FILE"])
    partial = port.with_suffix(".partial")
    partial.write_text(os.ttyname(slave))
    partial.replace(port)
    go = 0
    quiet = 0
    outgoing = b""
    dut.burst.value = BURST_CYCLES
    while True:
        idle = quiet >= QUIET_CYCLES and not outgoing
        received = _read(master, None if idle else 0)
        dut.rx_bytes.value = int.from_bytes(received, "little")
        dut.rx_count.value = len(received)
        go ^= 1
        dut.go.value = go
        await Edge(dut.finished)
        count = dut.tx_count.value.to_unsigned()
        if count:
            every = dut.tx_bytes.value.to_unsigned().to_bytes(HARNESS_BYTES, "little")
            outgoing += every[:count]
        busy = bool(received or count or dut.waiting.value.to_unsigned())
        quiet = 0 if busy else quiet + BURST_CYCLES
        outgoing = _write(master, outgoing)


def _read(master: int, patience_s: float | None) -> bytes:
    """Bytes that clients have sent; waits for some as long as it may."""
    readable, _, _ = select.select([master], [], [], patience_s)
    return os.read(master, HARNESS_BYTES) if readable else b""


def _write(master: int, data: bytes) -> bytes:
    """Give clients what the terminal has room for; returns the rest."""
    while data:
        try:
            data = data[os.write(master, data) :]
        except BlockingIOError:
            return data
    return data
