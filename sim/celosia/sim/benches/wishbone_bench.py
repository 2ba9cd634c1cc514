"""Bench of `celosia.hdl.wishbone.WishboneBridge`: a hasty Wishbone master and a slow NPU."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.bus_window import window_address
from celosia.golden.config import NpuConfig, config_from_mapping
from celosia.golden.memory_map import MEMORIES, WORD_BYTES, memory_geometry
from celosia.hdl.npu.interfaces import HostRequest
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of
from celosia.sim.stalls import Stall

ACCESSES = 400
WHOLE = (1 << WORD_BYTES) - 1
SLOWEST = 300
"""Cycles that an access may take with the longest stalls on both of the NPU's streams."""


class Npu:
    """The far side of the bridge: takes accesses, and answers reads with random words.

    A `late` one takes a read in the cycle in which its answer is taken, as the NPU's host port.
    """

    def __init__(self, dut: Any, bench: BlockBench, stall: Stall, late: bool) -> None:
        self._dut, self._bench = dut, bench
        self._edge = RisingEdge(bench.clk)
        self.seen: list[tuple[int, int, int]] = []
        self.words: list[int] = []
        if late:
            cocotb.start_soon(self._serve_late(stall))
        else:
            self._requests = bench.sink("request", stall)
            self._responses = bench.source("response", stall)
            cocotb.start_soon(self._serve())

    def _observe(self, payload: int) -> bool:
        access = fields_of(HostRequest, payload)
        data = access["data"] if access["write"] else 0
        self.seen.append((access["write"], access["address"], data))
        if not access["write"]:
            self.words.append(self._bench.rng.getrandbits(32))
        return bool(access["write"])

    async def _serve(self) -> None:
        while True:
            if not self._observe((await self._requests.receive(1))[0]):
                await self._responses.send([self.words[-1]])

    async def _serve_late(self, stall: Stall) -> None:
        dut, stalls = self._dut, stall.cycles(self._bench.rng)
        dut.request__ready.value = dut.response__valid.value = 0
        while True:
            await self._edge
            while not dut.request__valid.value or next(stalls):
                await self._edge
            write = self._observe(dut.request__payload.value.to_unsigned())
            dut.request__ready.value = 1
            if not write:
                dut.response__valid.value = 1
                dut.response__payload.value = self.words[-1]
            await self._edge
            assert write or dut.response__ready.value, "an answer that isn't taken at once"
            dut.request__ready.value = dut.response__valid.value = 0


class Master:
    """A Wishbone master; between its cycles every other signal is random."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        self._dut, self._bench = dut, bench
        self._edge = RisingEdge(bench.clk)
        self.idle()
        cocotb.start_soon(self._watch())

    def idle(self) -> None:
        """No cycle: `cyc` or `stb` is low, the other signals mean nothing."""
        rng, dut = self._bench.rng, self._dut
        dut.wb__cyc.value, dut.wb__stb.value = rng.choice([(0, 0), (0, 1), (1, 0)])
        for port in (dut.wb__we, dut.wb__adr, dut.wb__sel, dut.wb__dat_w):
            port.value = rng.getrandbits(len(port))

    async def access(
        self, address: int, *, write: bool, sel: int, data: int, patience: int
    ) -> tuple[str, int]:
        """One cycle; gives up after `patience` clock cycles. Returns how it ended, and `dat_r`."""
        dut = self._dut
        dut.wb__cyc.value = dut.wb__stb.value = 1
        dut.wb__we.value, dut.wb__sel.value = write, sel
        dut.wb__adr.value, dut.wb__dat_w.value = address // WORD_BYTES, data
        for _ in range(patience):
            await self._edge
            if dut.wb__ack.value or dut.wb__err.value:
                end = "ack" if dut.wb__ack.value else "err"
                return end, dut.wb__dat_r.value.to_unsigned()
        self.idle()
        await self._edge
        return "given up", 0

    async def _watch(self) -> None:
        dut = self._dut
        while True:
            await self._edge
            ack, err = bool(dut.wb__ack.value), bool(dut.wb__err.value)
            assert not (ack and err), "ack and err in one cycle"
            if ack or err:
                waits = bool(dut.wb__cyc.value) and bool(dut.wb__stb.value)
                assert waits, "an answer that nobody waits for"


def random_access(config: NpuConfig, bench: BlockBench) -> dict[str, int]:
    """Address in the memory map, direction, byte selects and data."""
    rng = bench.rng
    geometry = memory_geometry(config, rng.choice(MEMORIES))
    word = rng.randrange(geometry.depth * geometry.stride_words)
    address = rng.choice([geometry.address(0) + word * WORD_BYTES, rng.randrange(32) * WORD_BYTES])
    sel = rng.choice([WHOLE, WHOLE, WHOLE, rng.getrandbits(WORD_BYTES)])
    return {
        "address": address,
        "write": rng.getrandbits(1),
        "sel": sel,
        "data": rng.getrandbits(32),
    }


async def drive(dut: Any, stall: Stall, give_up: float, *, late: bool = False) -> None:
    """Random accesses, some of them given up, all carried out once and in order."""
    bench = await BlockBench.start(dut, timeout_cycles=200_000)
    config = config_from_mapping(bench.parameters, default_name="bench")
    npu, master = Npu(dut, bench, stall, late), Master(dut, bench)
    expected: list[tuple[int, int, int]] = []
    ends: list[str] = []
    reads = 0
    await bench.cycles(1)
    for _ in range(ACCESSES):
        access = random_access(config, bench)
        patience = bench.rng.randint(1, 6) if bench.rng.random() < give_up else SLOWEST
        window = window_address(config, access["address"])
        end, word = await master.access(
            window,
            write=bool(access["write"]),
            sel=access["sel"],
            data=access["data"],
            patience=patience,
        )
        ends.append(end)
        partial = access["write"] and access["sel"] != WHOLE
        if partial:
            assert end != "ack", access
        else:
            assert end != "err", access
            data = access["data"] if access["write"] else 0
            expected.append((access["write"], access["address"], data))
        if end == "given up":
            assert give_up, f"no answer within {SLOWEST} cycles"
            # What was asked for is carried out before the next access, which waits for it.
            end, word = await master.access(0, write=False, sel=WHOLE, data=0, patience=SLOWEST)
            assert end == "ack"
            expected.append((0, 0, 0))
            assert word == npu.words[-1]
        elif end == "ack" and not access["write"]:
            reads += 1
            assert word == npu.words[-1], f"read {word:#x}, not {npu.words[-1]:#x}"
        if bench.rng.random() < 0.5:
            master.idle()
            await bench.cycles(bench.rng.randint(1, 4))
    master.idle()
    await bench.cycles(SLOWEST)
    for number, (seen, wanted) in enumerate(zip(npu.seen, expected, strict=True)):
        assert seen == wanted, f"access {number} is {seen}, not {wanted}"
    assert reads > ACCESSES // 8
    assert "err" in ends
    assert ("given up" in ends) == bool(give_up)


@cocotb.test()
async def npu_answers_at_once(dut: Any) -> None:
    """Both of the NPU's streams are always ready."""
    await drive(dut, Stall.NEVER, 0.0)


@cocotb.test()
async def npu_stalls(dut: Any) -> None:
    """Both of the NPU's streams hesitate."""
    await drive(dut, Stall.BURSTS, 0.0)


@cocotb.test()
async def npu_stalls_long(dut: Any) -> None:
    """The same, with long stalls."""
    await drive(dut, Stall.LONG, 0.0)


@cocotb.test()
async def npu_takes_reads_late(dut: Any) -> None:
    """A read is taken together with its answer."""
    await drive(dut, Stall.BURSTS, 0.0, late=True)


@cocotb.test()
async def npu_takes_reads_late_and_the_master_gives_up(dut: Any) -> None:
    """Both at once."""
    await drive(dut, Stall.HALF, 0.4, late=True)


@cocotb.test()
async def master_gives_up(dut: Any) -> None:
    """The master ends many cycles before their answer."""
    await drive(dut, Stall.BURSTS, 0.4)


@cocotb.test()
async def a_write_takes_three_cycles(dut: Any) -> None:
    """Latency, and no idle cycle between two accesses."""
    bench = await BlockBench.start(dut)
    Npu(dut, bench, Stall.NEVER, late=False)
    master = Master(dut, bench)
    await bench.cycles(2)
    begin = bench.cycle
    for _ in range(10):
        end, _ = await master.access(0, write=True, sel=WHOLE, data=1, patience=9)
        assert end == "ack"
    assert bench.cycle - begin == 30
