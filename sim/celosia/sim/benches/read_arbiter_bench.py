"""Bench of `celosia.hdl.npu.read_arbiter.ReadArbiter`: who wins, and whose answer is whose."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.isa import ADDRESS_BITS
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.stalls import Stall

READS = 150
CLIENTS = ("first", "second")


def contents(address: int) -> int:
    """Any function that tells addresses apart."""
    return address * 0x1_0001 ^ 0x5A5A5A


async def check_handshakes(dut: Any, edge: RisingEdge, grants: list[int]) -> None:
    """Follow every cycle: who is shown to the memory, who is granted, who gets the answer."""
    shown_second = False
    while True:
        await edge
        wants = [bool(getattr(dut, f"{c}__request__valid").value) for c in CLIENTS]
        assert bool(dut.memory__request__valid.value) == any(wants)
        granted = bool(dut.memory__request__ready.value)
        winner = 1 if shown_second or not wants[0] else 0
        if any(wants):
            shown = dut.memory__request__payload.value.to_unsigned()
            asked = getattr(dut, f"{CLIENTS[winner]}__request__payload").value.to_unsigned()
            assert shown == asked | winner << ADDRESS_BITS, f"{CLIENTS[winner]} should win"
            for i, client in enumerate(CLIENTS):
                ready = bool(getattr(dut, f"{client}__request__ready").value)
                if wants[i]:
                    assert ready == (granted and i == winner), f"ready of {client} is {ready}"
            if granted:
                grants.append(winner)
        shown_second = any(wants) and not granted and winner == 1
        answered = bool(dut.memory__response__valid.value)
        tag = dut.memory__response__payload.value.to_unsigned() >> dut_width(dut)
        for i, client in enumerate(CLIENTS):
            offered = bool(getattr(dut, f"{client}__response__valid").value)
            assert offered == (answered and tag == i), f"{client} is offered another's answer"
        if answered:
            taken = bool(getattr(dut, f"{CLIENTS[tag]}__response__ready").value)
            assert bool(dut.memory__response__ready.value) == taken


def dut_width(dut: Any) -> int:
    """Bits of an answer without its tag."""
    return len(dut.first__response__payload)


@cocotb.test()
@cocotb.parametrize(
    request_stall=[Stall.NEVER, Stall.HALF, Stall.BURSTS],
    response_stall=[Stall.NEVER, Stall.HALF, Stall.LONG],
    memory_stall=[Stall.NEVER, Stall.HALF, Stall.BURSTS],
)
async def each_client_gets_its_answers(
    dut: Any, request_stall: Stall, response_stall: Stall, memory_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    grants: list[int] = []
    MemoryModel(
        bench,
        dut,
        "memory",
        contents,
        request_stall=memory_stall,
        response_stall=memory_stall,
    )
    sinks = [bench.sink(f"{client}__response", response_stall) for client in CLIENTS]
    sources = [bench.source(f"{client}__request", request_stall) for client in CLIENTS]
    cocotb.start_soon(check_handshakes(dut, RisingEdge(bench.clk), grants))
    requests = [[bench.rng.getrandbits(ADDRESS_BITS) for _ in range(READS)] for _ in CLIENTS]
    for source, addresses in zip(sources, requests, strict=True):
        cocotb.start_soon(source.send(addresses))
    tasks = [
        cocotb.start_soon(sink.check([contents(a) for a in addresses]))
        for sink, addresses in zip(sinks, requests, strict=True)
    ]
    for task in tasks:
        await task
    for sink in sinks:
        await sink.check_quiet(5)
    assert sorted(grants) == [0] * READS + [1] * READS
    if request_stall is Stall.NEVER and memory_stall is Stall.NEVER:
        late = grants.index(0)  # the second may have been shown before the first's first request
        assert grants == [1] * late + [0] * READS + [1] * (READS - late)
        assert late <= 1
