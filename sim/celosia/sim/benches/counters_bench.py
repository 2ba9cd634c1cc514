"""Bench of `celosia.hdl.npu.counters.PerformanceCounters` against lists of integers."""

from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from celosia.golden.memory_map import PROFILE_WORDS
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import pack_vector
from celosia.sim.stalls import Stall

CYCLES = 1000
MOST_WAITED = 2 * PROFILE_WORDS + 2
"""Cycles in which a counter isn't shown, where each has its turn."""


class Golden:
    """The counts in every cycle, and the profile entries that they leave."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        self._dut = dut
        self._edge = RisingEdge(bench.clk)
        self.depth = bench.parameters["depth"]
        self.counts = [0] * PROFILE_WORDS
        self.waited = 0
        self._selected: int | None = None
        self._before = self.counts
        self._cleared = False
        self.marks = 0
        self.most_marks = 0
        self.entries: list[int | None] = [None] * self.depth
        self.answers: deque[int | None] = deque()
        self.read_cycles: list[int] = []
        self.cycle = 0
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self._dut
        while True:
            await self._edge
            self.cycle += 1
            now = pack_vector(self.counts, "uint32")
            self._check_shown()
            assert dut.marks.value.to_unsigned() == self.marks
            if self.depth:
                self._check_reads()
            if dut.mark.value:
                if self.marks < self.depth:
                    self.entries[self.marks] = now
                self.marks += 1
                self.most_marks = max(self.marks, self.most_marks)
            events = dut.events.value.to_unsigned()
            self.counts = [c + (events >> k & 1) for k, c in enumerate(self.counts)]
            if dut.clear.value:
                self.counts = [0] * PROFILE_WORDS
                self.marks = 0

    def _check_shown(self) -> None:
        """The counter selected now, or a cycle ago beside a profile, as it was a cycle ago."""
        dut = self._dut
        select = dut.select.value.to_unsigned()
        if dut.current.value:
            number = self._selected if self.depth else select
            if number is not None:
                shown = dut.value.value.to_unsigned()
                due = self._before[number]
                assert shown == due, f"counter {number} is {due} and shown as {shown}"
            self.waited = 0
        elif select == self._selected and not self._cleared:
            self.waited += 1
            assert self.waited < MOST_WAITED, f"counter {select} has no turn"
        else:
            self.waited = 0
        self._selected, self._before = select, self.counts
        self._cleared = bool(dut.clear.value)

    def _check_reads(self) -> None:
        dut = self._dut
        assert bool(dut.read__response__valid.value) == bool(self.answers)
        room = not self.answers or bool(dut.read__response__ready.value)
        if self.answers and dut.read__response__ready.value:
            due = self.answers.popleft()
            got = dut.read__response__payload.value.to_unsigned()
            assert due is None or got == due, f"entry is {got:#x}, expected {due:#x}"
        assert bool(dut.read__request__ready.value) == room
        if room and dut.read__request__valid.value:
            self.answers.append(self.entries[dut.read__request__payload.value.to_unsigned()])
            self.read_cycles.append(self.cycle)


async def start(dut: Any) -> BlockBench:
    """A bench with every input at 0: the test before may have left a read on offer."""
    dut.events.value = dut.clear.value = dut.mark.value = dut.select.value = 0
    if hasattr(dut, "read__request__valid"):
        dut.read__request__valid.value = 0
    return await BlockBench.start(dut)


@cocotb.test()
@cocotb.parametrize(request_stall=list(Stall), response_stall=list(Stall))
async def counts_and_entries_are_exact(
    dut: Any, request_stall: Stall, response_stall: Stall
) -> None:
    bench = await start(dut)
    golden = Golden(dut, bench)
    rng = bench.rng
    if golden.depth:
        bench.sink("read__response", response_stall)
        source = bench.source("read__request", request_stall)
        addresses = [rng.randrange(golden.depth) for _ in range(CYCLES)]
        task = cocotb.start_soon(source.send(addresses))
    change = 1.0 if golden.depth else 0.04
    for _ in range(CYCLES):
        if rng.random() < change:
            dut.select.value = rng.randrange(PROFILE_WORDS)
        dut.events.value = rng.getrandbits(PROFILE_WORDS)
        dut.mark.value = int(rng.random() < 0.1)
        dut.clear.value = int(rng.random() < 0.01)
        await bench.cycles(1)
    assert golden.most_marks > golden.depth, "never marked beyond the depth"
    if not golden.depth:
        return
    task.cancel()
    if request_stall is Stall.NEVER and response_stall is Stall.NEVER:
        first = golden.read_cycles[0]
        assert golden.read_cycles == list(range(first, first + len(golden.read_cycles)))


@cocotb.test()
async def marks_beyond_all_bounds_change_no_entry(dut: Any) -> None:
    bench = await start(dut)
    depth = bench.parameters["depth"]
    dut.events.value = 1
    dut.mark.value = 1
    await ClockCycles(bench.clk, (1 << 16) + 100)
    dut.mark.value = 0
    await bench.cycles(1)
    assert dut.marks.value.to_unsigned() == (1 << 16) - 1
    if not depth:
        return
    sink = bench.sink("read__response")
    cocotb.start_soon(bench.source("read__request").send(range(depth)))
    await sink.check(range(depth))  # the first mark came before any event had counted
