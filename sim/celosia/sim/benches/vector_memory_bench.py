"""Bench of `celosia.hdl.npu.vector_memory.VectorMemory`: every port in every cycle."""

from collections import deque
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.golden.isa import ADDRESS_BITS
from celosia.hdl.npu.interfaces import MemoryWriteSignature
from celosia.hdl.npu.vector_memory import Answers
from celosia.hdl.npu.vector_storage import BANK_VECTORS
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall

ACCESSES = 200
BUFFERED_LATENCY = 2
HELD = 3
"""Buffered answers that wait for a reader before its next request is refused."""


class Golden:
    """Watches all ports in every cycle and says which handshakes and answers are right."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        parameters = bench.parameters
        self._edge = RisingEdge(bench.clk)
        self._reset = dut.rst
        lanes = parameters["lanes"]
        self._write_layout = write_layout(bench)
        self._vector_bits = 8 * lanes
        self._answers = [Answers(name) for name in parameters["answers"]]
        direct = 1 if parameters["compact"] else 2
        self._latency = [
            direct if answers == Answers.DIRECT else BUFFERED_LATENCY for answers in self._answers
        ]
        self._requests = [
            [getattr(dut, f"read_{i}__request__{p}") for p in ("payload", "valid", "ready")]
            for i in range(len(parameters["tags"]))
        ]
        self._responses = [
            [getattr(dut, f"read_{i}__response__{p}") for p in ("payload", "valid", "ready")]
            for i in range(len(parameters["tags"]))
        ]
        self._writes = [
            [getattr(dut, f"write_{i}__{p}") for p in ("payload", "valid", "ready")]
            for i in range(parameters["writers"])
        ]
        self.contents = np.zeros((parameters["depth"], lanes), np.int8)
        self.expected: list[deque[tuple[int | None, int]]] = [deque() for _ in self._requests]
        """Answers, each with the first cycle in which it is offered; None for any value."""
        self.cycle = 0
        self.read_cycles: list[int] = []
        self.write_cycles: list[int] = []
        self.collisions = 0
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        while True:
            await self._edge
            self.cycle += 1
            room = [
                answers == Answers.DIRECT or len(due) < HELD
                for due, answers in zip(self.expected, self._answers, strict=True)
            ]
            self._check_responses()
            read = self._check_requests(room)
            written = self._check_writes()
            self._forget_collision(read, written)
            if self._reset.value:
                for answers in self.expected:
                    answers.clear()

    def _check_responses(self) -> None:
        for i, (payload, valid, ready) in enumerate(self._responses):
            answers = self.expected[i]
            offered = bool(answers) and answers[0][1] <= self.cycle
            assert bool(valid.value) == offered, (
                f"read_{i} offers {valid.value} with {len(answers)} answers due"
            )
            if valid.value and ready.value:
                got, (due, _) = payload.value.to_unsigned(), answers.popleft()
                assert due is None or got == due, f"read_{i} answers {got:#x}, expected {due:#x}"

    def _check_requests(self, room: list[bool]) -> tuple[int, int] | None:
        """Who reads which address in this cycle."""
        free, read = True, None
        for i, (payload, valid, ready) in enumerate(self._requests):
            assert bool(ready.value) == (free and room[i]), f"ready of read_{i} is {ready.value}"
            if valid.value and room[i]:
                if free:
                    request = payload.value.to_unsigned()
                    address = request % (1 << ADDRESS_BITS)
                    read = i, address
                    tag = request >> ADDRESS_BITS
                    stored = int.from_bytes(self.contents[address].tobytes(), "little")
                    offered = self.cycle + self._latency[i]
                    self.expected[i].append((stored | tag << self._vector_bits, offered))
                    self.read_cycles.append(self.cycle)
                free = False
        return read

    def _forget_collision(self, read: tuple[int, int] | None, written: int | None) -> None:
        """What is read and written in one cycle may have any value."""
        if read is not None and read[1] == written:
            _, offered = self.expected[read[0]].pop()
            self.expected[read[0]].append((None, offered))
            self.collisions += 1

    def _check_writes(self) -> int | None:
        free, address = True, None
        for i, (payload, valid, ready) in enumerate(self._writes):
            assert bool(ready.value) == free, f"ready of write_{i} is {ready.value}"
            if valid.value:
                if free:
                    beat = fields_of(self._write_layout, payload.value.to_unsigned())
                    address = beat["address"]
                    lanes = [k for k in range(self.contents.shape[1]) if beat["mask"] >> k & 1]
                    self.contents[address, lanes] = np.array(beat["vector"], np.int8)[lanes]
                    self.write_cycles.append(self.cycle)
                free = False
        return address


def write_layout(bench: BlockBench) -> Any:
    """Payload of a write."""
    return MemoryWriteSignature(bench.parameters["lanes"]).members["payload"].shape


def random_reads(bench: BlockBench, tag_bits: int, count: int) -> list[int]:
    """Requests for a few neighbouring vectors, so that they meet the writes, with random tags."""
    return [
        random_address(bench) | bench.rng.getrandbits(tag_bits) << ADDRESS_BITS
        for _ in range(count)
    ]


def random_writes(bench: BlockBench, count: int) -> list[int]:
    """Writes with any mask, none and all among them."""
    lanes = bench.parameters["lanes"]
    every = (1 << lanes) - 1
    return [
        pack_fields(
            write_layout(bench),
            {
                "address": random_address(bench),
                "vector": [bench.rng.randrange(-128, 128) for _ in range(lanes)],
                "mask": bench.rng.choice([0, every, bench.rng.getrandbits(lanes)]),
            },
        )
        for _ in range(count)
    ]


def used_addresses(bench: BlockBench) -> list[int]:
    """All of a small memory, of a large one the ends of its banks and what lies between them."""
    depth: int = bench.parameters["depth"]
    places = {*range(0, depth, BANK_VECTORS), *range(BANK_VECTORS, depth, BANK_VECTORS // 3), depth}
    return sorted({p + near for p in places for near in range(-8, 8) if 0 <= p + near < depth})


def random_address(bench: BlockBench) -> int:
    """The first or last vectors, or any."""
    used = used_addresses(bench)
    return bench.rng.choice([*used[:2], *used[-2:], bench.rng.choice(used)])


async def start(dut: Any) -> tuple[BlockBench, Golden]:
    """A bench whose memory holds known values: reset leaves the previous test's."""
    bench = await BlockBench.start(dut)
    for i in range(len(bench.parameters["tags"])):
        getattr(dut, f"read_{i}__request__valid").value = 0
    for i in range(bench.parameters["writers"]):
        getattr(dut, f"write_{i}__valid").value = 0
    golden = Golden(dut, bench)
    lanes = bench.parameters["lanes"]
    every = (1 << lanes) - 1
    await bench.source("write_0").send(
        [
            pack_fields(
                write_layout(bench), {"address": i, "vector": [i % 128] * lanes, "mask": every}
            )
            for i in used_addresses(bench)
        ]
    )
    await bench.cycles(1)
    golden.write_cycles.clear()
    return bench, golden


@cocotb.test()
@cocotb.parametrize(request_stall=list(Stall), response_stall=list(Stall))
async def reads_and_writes_agree(dut: Any, request_stall: Stall, response_stall: Stall) -> None:
    bench, golden = await start(dut)
    tags, writers = bench.parameters["tags"], bench.parameters["writers"]
    # A client without a buffer takes its answers at once.
    stalls = [
        Stall.NEVER if answers == Answers.DIRECT else response_stall
        for answers in bench.parameters["answers"]
    ]
    sinks = [bench.sink(f"read_{i}__response", stall) for i, stall in enumerate(stalls)]
    tasks = [
        cocotb.start_soon(
            bench.source(f"read_{i}__request", request_stall).send(
                random_reads(bench, tag, ACCESSES)
            )
        )
        for i, tag in enumerate(tags)
    ]
    for i in range(writers):
        source = bench.source(f"write_{i}", bench.rng.choice(list(Stall)))
        tasks.append(cocotb.start_soon(source.send(random_writes(bench, ACCESSES))))
    for task in tasks:
        await task
    for sink in sinks:
        await sink.receive(ACCESSES)
    assert len(golden.read_cycles) == ACCESSES * len(tags)
    assert len(golden.write_cycles) == ACCESSES * writers
    assert golden.collisions > 0, "no read ever met a write of its vector"


@cocotb.test()
async def one_vector_is_read_and_one_written_in_a_cycle(dut: Any) -> None:
    bench, golden = await start(dut)
    tags, writers = bench.parameters["tags"], bench.parameters["writers"]
    for i in range(len(tags)):
        bench.sink(f"read_{i}__response")
    await bench.cycles(2)
    reads = [bench.source(f"read_{i}__request") for i in range(len(tags))]
    writes = [bench.source(f"write_{i}") for i in range(writers)]
    for source, tag in zip(reads, tags, strict=True):
        cocotb.start_soon(source.send(random_reads(bench, tag, ACCESSES)))
    for source in writes:
        cocotb.start_soon(source.send(random_writes(bench, ACCESSES)))
    # The first client gets every cycle until it has no more requests, then the next.
    await bench.cycles(ACCESSES * max(len(tags), writers) + 10)
    for cycles, clients in ((golden.read_cycles, len(tags)), (golden.write_cycles, writers)):
        assert cycles == list(range(cycles[0], cycles[0] + ACCESSES * clients))


@cocotb.test()
async def reset_forgets_answers(dut: Any) -> None:
    bench, _ = await start(dut)
    for _ in range(50):
        requests = random_reads(bench, bench.parameters["tags"][0], ACCESSES)
        task = cocotb.start_soon(bench.source("read_0__request").send(requests))
        direct = bench.parameters["answers"][0] == Answers.DIRECT
        for _ in range(bench.rng.randrange(1, 30)):
            dut.read_0__response__ready.value = 1 if direct else bench.rng.getrandbits(1)
            await bench.cycles(1)
        task.cancel()
        dut.read_0__request__valid.value = 0
        await bench.reset(1)
