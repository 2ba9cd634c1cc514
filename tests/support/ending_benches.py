"""cocotb tests that end in every way a simulation can end; `test_simulation` runs them."""

import os
import signal
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Timer


@cocotb.test()
async def passes(dut: Any) -> None:
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 5)
    assert int(dut.count.value) == 4


@cocotb.test()
async def fails(dut: Any) -> None:
    assert int(dut.count.value) == 3, "the count should be three"


@cocotb.test()
async def fails_in_background(dut: Any) -> None:
    async def background() -> None:
        raise AssertionError("in the background")

    cocotb.start_soon(background())
    await Timer(10, "ns")


@cocotb.test()
async def violates_assertion(dut: Any) -> None:
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1000)


@cocotb.test()
async def crashes(dut: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@cocotb.test()
async def exits(dut: Any) -> None:
    os._exit(0)


@cocotb.test()
async def hangs_in_python(dut: Any) -> None:
    while True:
        pass


@cocotb.test()
async def hangs_in_verilog(dut: Any) -> None:
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 10**9)


@cocotb.test()
async def prints_seed_and_environment(dut: Any) -> None:
    print("SEED", cocotb.RANDOM_SEED, "WORD", os.environ["WORD"], "PLUS", cocotb.plusargs["plus"])


@cocotb.test()
async def sees_parameter(dut: Any) -> None:
    assert len(dut.count) == int(os.environ["WIDTH"])


@cocotb.test()
async def cannot_see_inside(dut: Any) -> None:
    assert not hasattr(dut, "hidden")


@cocotb.test()
async def can_see_inside(dut: Any) -> None:
    assert hasattr(dut, "hidden")


@cocotb.test()
async def waits_for_own_clock(dut: Any) -> None:
    """The DUT is a wrapper that drives its own clock while ``run`` is high."""
    dut.run.value = 1
    await Timer(1000, "ns")
    dut.run.value = 0
    await Timer(1, "ns")
    assert int(dut.count.value) == 100
