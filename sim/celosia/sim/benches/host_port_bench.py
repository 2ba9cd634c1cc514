"""Bench of `celosia.hdl.npu.host_port.HostPort` against the memory map."""

import functools
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ReadWrite, RisingEdge

from celosia.golden.config import NpuConfig, config_from_mapping
from celosia.golden.memory_map import (
    IDENTITY,
    MEMORIES,
    PROFILE_WORDS,
    REGION_SHIFT,
    WORD_BYTES,
    Control,
    Region,
    Register,
    crossbar_word,
    memory_geometry,
)
from celosia.golden.rounding import RoundingProfile
from celosia.hdl.npu.interfaces import HostRequest, MemoryWriteSignature
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall
from celosia.sim.streams import StreamSink, StreamSource

ACCESSES = 200
WRITABLE = {Region.SCRATCHPAD: "scratchpad_write", Region.WEIGHTS: "weights_write"}
INPUTS = {
    "status": Register.STATUS,
    "program_counter": Register.PROGRAM_COUNTER,
    "units": Register.UNITS,
    "queues": Register.QUEUES,
    "semaphores": Register.SEMAPHORES,
    "marks": Register.MARKS,
}


def crossbar_answer(address: int) -> int:
    """What the crossbar's window answers in this bench: something of every bit of the address."""
    return address * 0x9E3779B1 % (1 << 32)


class Golden:
    """What the host sees: registers and memories after each of its accesses, in order."""

    def __init__(self, config: NpuConfig, rng: np.random.Generator) -> None:
        self.config = config
        geometries = {region: memory_geometry(config, region) for region in MEMORIES}
        self.geometry = {region: g for region, g in geometries.items() if g.depth}
        self.memories = {
            region: rng.integers(0, 256, (geometry.depth, geometry.vector_bytes), np.uint8)
            for region, geometry in self.geometry.items()
        }
        self.registers: dict[int, int] = {
            Register.IDENTITY: IDENTITY,
            Register.GEOMETRY: self._geometry_word(),
        }
        self.registers |= {Register.CONTROL: 0, Register.PROGRAM: 0}
        self.registers[Register.CROSSBAR] = crossbar_word(config)
        self.crossbar_writes: list[tuple[int, int]] = []
        self.pulses: list[tuple[bool, bool]] = []

    def _program_bits(self) -> int:
        return (self.config.weight_depth - 1).bit_length()

    def _geometry_word(self) -> int:
        config = self.config
        every = list(RoundingProfile)
        profiles = sum(1 << k for k, p in enumerate(every) if p in config.profiles)
        high = profiles | config.depthwise_taps << 4
        parts = (config.rows, config.columns, config.requantizer_lanes, high)
        return int.from_bytes(bytes(parts), "little")

    def _locate(self, region: Region, offset: int) -> tuple[int, int] | None:
        """Vector and byte of a word, if there is such a vector."""
        geometry = self.geometry[region]
        vector, word = divmod(offset // WORD_BYTES, geometry.stride_words)
        return (vector, word * WORD_BYTES) if vector < geometry.depth else None

    def read(self, address: int) -> int:
        """The answer to a read."""
        number, offset = address >> REGION_SHIFT, address % (1 << REGION_SHIFT)
        if number == Region.REGISTERS:
            return self.registers.get(offset - offset % WORD_BYTES, 0)
        if number == Region.CROSSBAR and self.config.crossbar is not None:
            return crossbar_answer(address)
        if number not in self.geometry or (place := self._locate(Region(number), offset)) is None:
            return 0
        vector, byte = place
        return int.from_bytes(
            self.memories[Region(number)][vector, byte : byte + WORD_BYTES].tobytes(), "little"
        )

    def write(self, address: int, value: int) -> None:
        """Carry out a write."""
        number, offset = address >> REGION_SHIFT, address % (1 << REGION_SHIFT)
        offset -= offset % WORD_BYTES
        if number == Region.REGISTERS and offset == Register.CONTROL:
            self.registers[Register.CONTROL] = value & Control.STEP_MODE
            if value & (Control.START | Control.STEP):
                self.pulses.append((bool(value & Control.START), bool(value & Control.STEP)))
        elif number == Region.REGISTERS and offset == Register.PROGRAM:
            self.registers[Register.PROGRAM] = value % (1 << self._program_bits())
        elif number in WRITABLE and (place := self._locate(Region(number), offset)) is not None:
            vector, byte = place
            lanes = self.memories[Region(number)][vector, byte : byte + WORD_BYTES]
            lanes[:] = list(value.to_bytes(WORD_BYTES, "little"))[: len(lanes)]
        elif number == Region.CROSSBAR and self.config.crossbar is not None:
            self.crossbar_writes.append((address, value))


class Host:
    """The DUT between a host and memories that hold what its writes have put there."""

    def __init__(self, dut: Any, bench: BlockBench, stall: Stall = Stall.NEVER) -> None:
        self.dut, self.bench = dut, bench
        self.config = config_from_mapping(bench.parameters, default_name="bench")
        self.golden = Golden(self.config, np.random.default_rng(bench.rng.getrandbits(64)))
        self.stored = {region: m.copy() for region, m in self.golden.memories.items()}
        self.pulses: list[tuple[bool, bool]] = []
        self.cycle = 0
        self.request_cycles: list[int] = []
        self.write_cycles: list[int] = []
        self.answer_cycles: list[int] = []
        self.models = {
            region: MemoryModel(
                bench,
                dut,
                f"{region.name.lower()}_read",
                functools.partial(self._stored_vector, region),
                request_stall=stall,
                response_stall=stall,
            )
            for region in self.golden.memories
        }
        for port in WRITABLE.values():
            bench.sink(port, stall)
        self.crossbar_writes: list[tuple[int, int]] = []
        if self.config.crossbar is not None:
            ends = bench.sink("crossbar_request", stall), bench.source("crossbar_response", stall)
            cocotb.start_soon(self._crossbar(*ends))
        self._turn = 0
        self.set_inputs()
        cocotb.start_soon(self._watch())
        cocotb.start_soon(self._answer_counters())

    def _stored_vector(self, region: Region, address: int) -> int:
        return int.from_bytes(self.stored[region][address].tobytes(), "little")

    async def _crossbar(self, requests: StreamSink, responses: StreamSource) -> None:
        """Stands for the crossbar's window: answers by the address, and keeps what is written."""
        while True:
            beat = fields_of(HostRequest, (await requests.receive(1))[0])
            if beat["write"]:
                self.crossbar_writes.append((beat["address"], beat["data"]))
            else:
                await responses.send([crossbar_answer(beat["address"])])

    def set_inputs(self) -> None:
        """New values on the ports that the host can read."""
        for name, register in INPUTS.items():
            port = getattr(self.dut, name)
            value = self.bench.rng.getrandbits(len(port))
            port.value = value
            self.golden.registers[register] = value
        self._counts = [self.bench.rng.getrandbits(32) for _ in range(PROFILE_WORDS)]
        self._show_count()
        for k, counter in enumerate(self._counts):
            self.golden.registers[Register.COUNTERS + WORD_BYTES * k] = counter

    def _show_count(self) -> None:
        """What `PerformanceCounters` shows: without a profile each counter has its turn."""
        if self.config.profile_depth:
            number = self.dut.counter.value.to_unsigned()
            self.dut.current.value = 1
            self.dut.count.value = self._counts[number] if number < PROFILE_WORDS else 0
            return
        self._turn = (self._turn + 1) % PROFILE_WORDS
        self.dut.count.value = self._counts[self._turn]

    async def _answer_counters(self) -> None:
        """Stands for the counters, which answer in the cycle behind."""
        edge = RisingEdge(self.bench.clk)
        while True:
            await edge
            self._show_count()
            if not self.config.profile_depth:
                await ReadWrite()
                self.dut.current.value = int(self.dut.counter.value.to_unsigned() == self._turn)

    async def _watch(self) -> None:
        dut = self.dut
        edge = RisingEdge(self.bench.clk)
        layouts = {
            Region.SCRATCHPAD: MemoryWriteSignature(self.config.rows).members["payload"].shape,
            Region.WEIGHTS: MemoryWriteSignature(self.config.columns).members["payload"].shape,
        }
        while True:
            await edge
            self.cycle += 1
            for region, port in WRITABLE.items():
                if getattr(dut, f"{port}__valid").value and getattr(dut, f"{port}__ready").value:
                    payload = getattr(dut, f"{port}__payload").value.to_unsigned()
                    beat = fields_of(layouts[region], payload)
                    vector = np.array(beat["vector"], np.int8).view(np.uint8)
                    lanes = [k for k in range(len(vector)) if beat["mask"] >> k & 1]
                    self.stored[region][beat["address"], lanes] = vector[lanes]
            start, step = bool(dut.start.value), bool(dut.step.value)
            if start or step:
                self.pulses.append((start, step))
            if dut.request__valid.value:
                self.request_cycles.append(self.cycle)
                if dut.request__ready.value and not dut.response__valid.value:
                    self.write_cycles.append(self.cycle)
            if dut.response__valid.value and dut.response__ready.value:
                self.answer_cycles.append(self.cycle)

    def random_address(self) -> int:
        """Any kind of address, mapped or not, whole words or not."""
        rng = self.bench.rng
        low = rng.choice([0, 0, rng.randrange(WORD_BYTES)])
        kind = rng.random()
        if kind < 0.3:
            last = Register.COUNTERS + WORD_BYTES * PROFILE_WORDS
            offset = rng.choice([rng.randrange(0, last + 16, 4), rng.randrange(0, 1 << 28, 4)])
            return offset | low
        if kind < 0.4:
            return Region.CROSSBAR << REGION_SHIFT | rng.randrange(1 << REGION_SHIFT)
        if kind < 0.5:
            return (
                rng.randrange(len(Region), 16) << REGION_SHIFT | rng.randrange(1 << 10) << 2 | low
            )
        geometry = self.golden.geometry[rng.choice(list(self.golden.geometry))]
        depth = geometry.depth
        vectors = (1 << REGION_SHIFT) // (geometry.stride_words * WORD_BYTES)
        vector = rng.choice([0, 1, rng.randrange(depth), depth - 1])
        if rng.random() < 0.2:
            # Beyond the memory, also where the address has more bits than the memory's port.
            beyond = [depth, vectors - 1, rng.randrange(depth, vectors)]
            vector = rng.choice([*beyond, vector + (vectors >> 1), vector + (vectors >> 2)])
        word = rng.randrange(geometry.stride_words)
        return geometry.address(vector) + word * WORD_BYTES | low

    def access(self, write: bool, address: int, value: int = 0) -> int:
        """The beat of an access."""
        return pack_fields(HostRequest, {"write": int(write), "address": address, "data": value})


@cocotb.test()
@cocotb.parametrize(
    request_stall=[Stall.NEVER, Stall.HALF, Stall.BURSTS],
    response_stall=[Stall.NEVER, Stall.HALF, Stall.LONG],
    memory_stall=[Stall.NEVER, Stall.HALF, Stall.BURSTS],
)
async def accesses_follow_the_memory_map(
    dut: Any, request_stall: Stall, response_stall: Stall, memory_stall: Stall
) -> None:
    bench = await BlockBench.start(dut)
    host = Host(dut, bench, memory_stall)
    request, response = (
        bench.source("request", request_stall),
        bench.sink("response", response_stall),
    )
    recent: list[int] = []
    for _ in range(4):
        host.set_inputs()
        beats, expected = [], []
        for _ in range(ACCESSES // 4):
            address = bench.rng.choice([*recent[-3:], host.random_address()])
            recent.append(address)
            value = bench.rng.getrandbits(32)
            if bench.rng.random() < 0.5:
                host.golden.write(address, value)
                beats.append(host.access(True, address, value))
            else:
                expected.append(host.golden.read(address))
                beats.append(host.access(False, address, value))
        task = cocotb.start_soon(request.send(beats))
        await response.check(expected)
        await task
    await bench.cycles(2)
    await response.check_quiet(10)
    for region, memory in host.golden.memories.items():
        assert np.array_equal(host.stored[region], memory), f"{region.name} differs"
    assert host.pulses == host.golden.pulses
    assert host.crossbar_writes == host.golden.crossbar_writes
    assert host.config.crossbar is None or host.crossbar_writes
    assert dut.program.value.to_unsigned() == host.golden.registers[Register.PROGRAM]
    assert bool(dut.step_mode.value) == bool(host.golden.registers[Register.CONTROL])


@cocotb.test()
async def one_write_a_cycle(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    host = Host(dut, bench)
    await bench.cycles(2)
    addresses = [host.random_address() for _ in range(ACCESSES)]
    await bench.source("request").send([host.access(True, a, 0xFFFFFFF8) for a in addresses])
    await bench.cycles(1)
    first = host.write_cycles[0]
    assert host.write_cycles == list(range(first, first + ACCESSES))


@cocotb.test()
async def what_follows_a_start_waits_a_cycle(dut: Any) -> None:
    # The units are reset in that cycle, and would forget a read.
    bench = await BlockBench.start(dut)
    host = Host(dut, bench)
    request, response = bench.source("request"), bench.sink("response")
    scratchpad = host.golden.geometry[Region.SCRATCHPAD].address(0)
    await bench.cycles(2)
    host.write_cycles.clear()
    accesses = [
        host.access(True, Register.CONTROL, Control.STEP),
        host.access(True, Register.CONTROL, Control.START),
        host.access(False, scratchpad),
    ]
    await request.send(accesses)
    await response.check([host.golden.read(scratchpad)])
    assert list(np.diff(host.write_cycles)) == [1, 2]  # cycles in which they were accepted


@cocotb.test()
async def reads_take_the_cycles_promised(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    host = Host(dut, bench)
    request, response = bench.source("request"), bench.sink("response")
    await bench.cycles(2)
    for number in (*Region, 15):
        address = number << REGION_SHIFT
        host.request_cycles.clear()
        host.answer_cycles.clear()
        await request.send([host.access(False, address)] * 20)
        await response.check([host.golden.read(address)] * 20)
        await bench.cycles(1)
        if number == Region.CROSSBAR and host.config.crossbar is not None:
            continue  # which takes its own time
        latency = 2 if number in host.golden.memories else 1
        first = host.request_cycles[0] + 1 + latency
        assert host.answer_cycles == [first + k * (latency + 1) for k in range(20)], number


@cocotb.test()
async def words_of_a_vector_are_read_at_once(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    host = Host(dut, bench)
    request, response = bench.source("request"), bench.sink("response")
    await bench.cycles(2)
    geometry = host.golden.geometry[Region.SCRATCHPAD]
    words = geometry.stride_words
    addresses = [geometry.address(0) + WORD_BYTES * k for k in range(5 * words)]
    beats = [host.access(False, address) for address in addresses]
    host.request_cycles.clear()
    cocotb.start_soon(request.send(beats))
    await response.check([host.golden.read(address) for address in addresses])
    latencies = [1 if k % words else 2 for k in range(len(addresses))]
    first = host.request_cycles[0]
    ends = np.cumsum([latency + 1 for latency in latencies]) + first
    assert host.answer_cycles == list(ends)


@cocotb.test()
async def a_vector_is_read_again_after_any_other_access(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    host = Host(dut, bench)
    request, response = bench.source("request"), bench.sink("response")
    geometry = host.golden.geometry[Region.SCRATCHPAD]
    low, high = (geometry.address(3) + WORD_BYTES * k for k in (0, geometry.stride_words - 1))
    second, third = (min(low + WORD_BYTES * k, high) for k in (1, 2))
    for write, address, last in (
        (False, Register.STATUS, second),
        (False, high, high),
        (False, geometry.address(4), second),
        (True, geometry.address(4), second),
        (True, second, third),
        (True, Register.PROGRAM, second),
    ):
        await request.send([host.access(False, low), host.access(write, address)])
        await response.receive(1 if write else 2)
        await bench.cycles(4)
        # A unit of the NPU writes the vector.
        host.stored[Region.SCRATCHPAD][3] ^= 0xFF
        expected = int.from_bytes(host.stored[Region.SCRATCHPAD][3].tobytes(), "little")
        await request.send([host.access(False, last)])
        await response.check([expected >> 8 * (last - low) & 0xFFFFFFFF])


@cocotb.test()
async def reset_forgets_accesses_and_registers(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    host = Host(dut, bench)
    dut.response__ready.value = 0
    for region in (r for r in Region if r is not Region.CROSSBAR):
        setup = [
            host.access(True, Register.CONTROL, Control.STEP_MODE),
            host.access(True, Register.PROGRAM, 0x123456),
        ]
        source = bench.source("request")
        await source.send(setup)
        task = cocotb.start_soon(source.send([host.access(False, region << REGION_SHIFT)]))
        await bench.cycles(8)
        assert dut.response__valid.value
        assert dut.step_mode.value
        assert dut.program.value.to_unsigned() == 0x123456 % (1 << len(dut.program))
        task.cancel()
        dut.request__valid.value = 0
        await bench.reset(2)
        for model in host.models.values():
            model.forget()
        await bench.cycles(1)
        assert not dut.response__valid.value
        assert not dut.step_mode.value
        assert dut.program.value.to_unsigned() == 0
