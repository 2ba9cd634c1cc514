"""Bench of `celosia.hdl.npu.semaphores.Semaphores` against a list of integers."""

from typing import Any

import cocotb
from cocotb.triggers import Timer

from celosia.golden.isa import SEMAPHORES, Semaphore
from celosia.sim.block_bench import BlockBench

NAMED = len(Semaphore)
HIGHEST = 255


def counts_of(dut: Any) -> list[int]:
    """The counts that the DUT shows: those of the cycle before, unless it is compact."""
    packed = dut.counts.value.to_unsigned()
    return [packed >> 8 * k & 0xFF for k in range(NAMED)]


def drive(dut: Any, units: int, **values: list[int]) -> None:
    """Set the members of every unit; those left out are 0."""
    for i in range(units):
        for member in ("wait", "take", "signal"):
            getattr(dut, f"unit_{i}__{member}").value = values.get(member, [0] * units)[i]


@cocotb.test()
@cocotb.parametrize(eagerness=[0.1, 0.5, 0.9])
async def counts_and_grants_are_exact(dut: Any, eagerness: float) -> None:
    bench = await BlockBench.start(dut)
    units, rng = bench.parameters["units"], bench.rng
    drive(dut, units)
    dut.extra.value = dut.clear.value = 0
    await bench.cycles(1)
    assert counts_of(dut) == [0] * NAMED
    counts = before = [0] * NAMED
    refused = 0
    for _ in range(3000):
        # A semaphore is waited for by one unit; those above the named ones by anybody.
        owner = [rng.randrange(units) for _ in range(NAMED)]
        wait = [rng.getrandbits(SEMAPHORES) for _ in range(units)]
        for k in range(NAMED):
            for i in range(units):
                if owner[k] != i:
                    wait[i] &= ~(1 << k)
        signal = [
            rng.getrandbits(SEMAPHORES) & rng.getrandbits(SEMAPHORES) for _ in range(units + 1)
        ]
        for k in range(NAMED):
            if counts[k] > HIGHEST - units - 1:
                signal = [s & ~(1 << k) for s in signal]
        clear = rng.random() < 0.005
        drive(dut, units, wait=wait, signal=signal[:units])
        dut.extra.value = signal[units]
        dut.clear.value = int(clear)
        await Timer(1, "ns")
        take = []
        for i in range(units):
            due = all(counts[k] > 0 for k in range(NAMED) if wait[i] >> k & 1)
            assert bool(getattr(dut, f"unit_{i}__grant").value) == due, (
                f"unit {i} waits for {wait[i]:#b} with {counts}"
            )
            refused += not due
            take.append(int(due and rng.random() < eagerness))
        drive(dut, units, wait=wait, take=take, signal=signal[:units])
        assert counts_of(dut) == (counts if bench.parameters["compact"] else before)
        await bench.cycles(1)
        before, counts = counts, counts.copy()
        for k in range(NAMED):
            counts[k] += sum(s >> k & 1 for s in signal)
            counts[k] -= sum(t and w >> k & 1 for t, w in zip(take, wait, strict=True))
        if clear:
            before = counts = [0] * NAMED
    assert refused > 0


@cocotb.test()
async def counts_reach_their_limit(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    units = bench.parameters["units"]
    every = (1 << SEMAPHORES) - 1
    drive(dut, units)
    dut.clear.value = 0
    dut.extra.value = every
    await bench.cycles(HIGHEST)
    dut.extra.value = 0
    await bench.cycles(2)
    assert counts_of(dut) == [HIGHEST] * NAMED
    # Raised and taken in one cycle: the count stays.
    drive(dut, units, wait=[every, *[0] * (units - 1)], take=[1, *[0] * (units - 1)])
    dut.extra.value = every
    await bench.cycles(3)
    assert counts_of(dut) == [HIGHEST] * NAMED
    dut.extra.value = 0
    await bench.cycles(4)
    late = 1 if bench.parameters["compact"] else 2
    assert counts_of(dut) == [HIGHEST - 4 + late] * NAMED


@cocotb.test()
async def reserved_semaphores_are_always_granted(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    units = bench.parameters["units"]
    reserved = ((1 << SEMAPHORES) - 1) & ~((1 << NAMED) - 1)
    dut.clear.value = 0
    dut.extra.value = reserved
    drive(dut, units, wait=[reserved] * units, take=[1] * units, signal=[reserved] * units)
    for _ in range(5):
        await bench.cycles(1)
        assert counts_of(dut) == [0] * NAMED
        assert all(getattr(dut, f"unit_{i}__grant").value for i in range(units))
