"""The host's door: a 32-bit bus on registers and memories."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.config import NpuConfig
from celosia.golden.isa import ADDRESS_BITS, Semaphore
from celosia.golden.memory_map import (
    IDENTITY,
    REGION_SHIFT,
    WORD_BYTES,
    Control,
    Counter,
    Region,
    Register,
    crossbar_word,
    memory_geometry,
)
from celosia.golden.rounding import RoundingProfile
from celosia.hdl.npu.counters import COUNTERS
from celosia.hdl.npu.interfaces import (
    HostRequest,
    MemoryReadSignature,
    MemoryWriteSignature,
    vector,
)
from celosia.hdl.npu.semaphores import COUNT_BITS

__all__ = ["STATUS", "HostPort"]

STATUS = data.StructLayout({"busy": 1, "done": 1, "illegal": 1, "stepped": 1})
"""The STATUS register, in the order of `memory_map.Status`."""


class HostPort(wiring.Component):
    """Serves the host's reads and writes one at a time, in order.

    Writes are accepted one a cycle, later where the NPU's own writes keep a memory busy. The answer
    to a register's read is offered one cycle after the request, to a memory's two cycles after the
    memory has granted its read; the next access begins in the cycle after the answer is taken. The
    scratchpad is read once for the words of a vector that are asked for one behind the other,
    upwards and with no other access between: all but the first are answered like registers.
    Unmapped addresses, vectors beyond a memory's depth among them, read as zero and ignore writes;
    bits 0-1 of an address are not looked at. Reset forgets the access in hand, step mode and
    program.

    Members:
        request: stream of `HostRequest`. response: one 32-bit word for each read, in order.
        scratchpad_read, weights_read, accumulators_read: readers of the memories.
        profile_read: reader of the profile, where the configuration keeps one.
        scratchpad_write, weights_write: writers; a mask bit for each byte of a vector.
        crossbar_request, crossbar_response: region CROSSBAR, where there is a crossbar.
        start, step: pulses. step_mode, program: registers of the host.
        status, program_counter, units, queues, semaphores, marks: what it can read, and `count`,
            the one of `counter`.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        rows, columns = config.rows, config.columns
        optional: dict[str, wiring.Member] = {}
        if config.profile_depth:
            optional["profile_read"] = Out(MemoryReadSignature(COUNTERS))
        if config.crossbar is not None:
            optional["crossbar_request"] = Out(stream.Signature(HostRequest))
            optional["crossbar_response"] = In(stream.Signature(32))
        super().__init__(
            {
                **optional,
                "request": In(stream.Signature(HostRequest)),
                "response": Out(stream.Signature(32)),
                "scratchpad_read": Out(MemoryReadSignature(vector(rows))),
                "weights_read": Out(MemoryReadSignature(vector(columns))),
                "accumulators_read": Out(MemoryReadSignature(vector(columns, 32))),
                "scratchpad_write": Out(MemoryWriteSignature(rows)),
                "weights_write": Out(MemoryWriteSignature(columns)),
                "start": Out(1),
                "step": Out(1),
                "step_mode": Out(1),
                "program": Out(ADDRESS_BITS),
                "status": In(STATUS),
                "program_counter": In(ADDRESS_BITS),
                "units": In(16),
                "queues": In(24),
                "semaphores": In(COUNT_BITS * len(Semaphore)),
                "marks": In(16),
                "counter": Out(range(len(Counter))),
                "count": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        access = self.request.payload
        region = access.address[REGION_SHIFT:]
        offset = access.address[ceil_log2(WORD_BYTES) : REGION_SHIFT]
        # What answers has a register of its own, and all others are zero: a multiplexer in front of
        # one register would stand behind the memories, whose outputs are late.
        answer = Signal(32)
        fetched = {
            memory: Signal(32, name=f"{memory.name.lower()}_answer") for memory in self._readers()
        }
        m.d.comb += self.response.payload.eq(reduce(or_, fetched.values(), answer))
        m.submodules.held = held = _HeldVector(
            memory_geometry(self._config, Region.SCRATCHPAD).stride_words
        )
        m.d.comb += [
            held.address.eq(access.address),
            held.taken.eq(self.request.valid & self.request.ready),
            held.write.eq(access.write),
        ]

        with m.FSM(name="host") as machine:
            with m.State("ACCESS"):
                m.d.sync += [register.eq(0) for register in (answer, *fetched.values())]
                with m.If(self.request.valid & access.write):
                    m.d.comb += self.request.ready.eq(1)
                    with m.Switch(region):
                        with m.Case(Region.REGISTERS):
                            self._write_register(m, offset, access.data)
                        with m.Case(Region.SCRATCHPAD):
                            self._write_word(m, Region.SCRATCHPAD, self.scratchpad_write)
                        with m.Case(Region.WEIGHTS):
                            self._write_word(m, Region.WEIGHTS, self.weights_write)
                        if self._config.crossbar is not None:
                            with m.Case(Region.CROSSBAR):
                                m.d.comb += self.request.ready.eq(self.crossbar_request.ready)
                with m.Elif(self.request.valid & held.next):
                    m.d.sync += answer.eq(held.word)
                    m.next = "ANSWER"
                with m.Elif(self.request.valid):
                    with m.Switch(region):
                        for memory in self._readers():
                            with m.Case(memory):
                                self._ask(m, memory)
                        if self._config.crossbar is not None:
                            with m.Case(Region.CROSSBAR):
                                with m.If(self.crossbar_request.ready):
                                    m.next = "FETCH_CROSSBAR"
                        with m.Default():
                            m.d.sync += answer.eq(Mux(region == 0, self._register(m, offset), 0))
                            m.next = "ANSWER"
            for memory, word in fetched.items():
                with m.State(f"FETCH_{memory.name}"):
                    self._fetch(m, memory, word, held)
            if self._config.crossbar is not None:
                with m.State("FETCH_CROSSBAR"):
                    m.d.comb += self.crossbar_response.ready.eq(1)
                    with m.If(self.crossbar_response.valid):
                        m.d.sync += answer.eq(self.crossbar_response.payload)
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.response.valid.eq(1)
                with m.If(self.response.ready):
                    m.d.comb += self.request.ready.eq(1)
                    m.next = "ACCESS"
        if self._config.crossbar is not None:
            m.d.comb += [
                self.crossbar_request.payload.eq(access),
                self.crossbar_request.valid.eq(
                    machine.ongoing("ACCESS") & self.request.valid & (region == Region.CROSSBAR)
                ),
            ]
        return m

    def _readers(self) -> dict[Region, wiring.PureInterface]:
        readers = {
            Region.SCRATCHPAD: self.scratchpad_read,
            Region.WEIGHTS: self.weights_read,
            Region.ACCUMULATORS: self.accumulators_read,
        }
        if self._config.profile_depth:
            readers[Region.PROFILE] = self.profile_read
        return readers

    def _position(self, region: Region) -> tuple[object, object, object]:
        """The vector and the word in it that the request's address names; is there such a vector"""
        geometry = memory_geometry(self._config, region)
        word_bits = ceil_log2(geometry.stride_words)
        words = self.request.payload.address[ceil_log2(WORD_BYTES) : REGION_SHIFT]
        return words[word_bits:], words[:word_bits], words[word_bits:] < geometry.depth

    def _write_register(self, m: Module, offset: object, value: object) -> None:
        with m.Switch(offset):
            with m.Case(Register.CONTROL // WORD_BYTES):
                m.d.comb += [
                    self.start.eq(value[ceil_log2(Control.START)]),
                    self.step.eq(value[ceil_log2(Control.STEP)]),
                ]
                m.d.sync += self.step_mode.eq(value[ceil_log2(Control.STEP_MODE)])
            with m.Case(Register.PROGRAM // WORD_BYTES):
                m.d.sync += self.program.eq(value)

    def _write_word(self, m: Module, region: Region, port: stream.Interface) -> None:
        geometry = memory_geometry(self._config, region)
        address, word, exists = self._position(region)
        lanes = Signal(geometry.stride_words * WORD_BYTES, name=f"lanes_{region.name.lower()}")
        m.d.comb += [
            port.valid.eq(exists),
            port.payload.address.eq(address),
            port.payload.vector.eq(self.request.payload.data.replicate(geometry.stride_words)),
            lanes.word_select(word, WORD_BYTES).eq(-1),
            port.payload.mask.eq(lanes),
            self.request.ready.eq(port.ready | ~exists),
        ]

    def _ask(self, m: Module, region: Region) -> None:
        port = self._readers()[region]
        address, _, exists = self._position(region)
        m.d.comb += [port.request.valid.eq(exists), port.request.payload.address.eq(address)]
        with m.If(~exists):
            m.next = "ANSWER"
        with m.Elif(port.request.ready):
            m.next = f"FETCH_{region.name}"

    def _fetch(self, m: Module, region: Region, answer: Signal, held: "_HeldVector") -> None:
        port = self._readers()[region]
        _, word, _ = self._position(region)
        size = memory_geometry(self._config, region).stride_words * 32
        vector = port.response.payload.vector.as_value()
        padded = Cat(vector, Const(0, size - len(vector)))
        m.d.comb += port.response.ready.eq(1)
        m.d.sync += answer.eq(padded.word_select(word, 32))
        if region is Region.SCRATCHPAD:
            m.d.comb += [held.vector.eq(padded), held.store.eq(port.response.valid)]
        with m.If(port.response.valid):
            m.next = "ANSWER"

    def _register(self, m: Module, offset: object) -> Signal:
        config = self._config
        profiles = sum(1 << list(RoundingProfile).index(p) for p in config.profiles)
        geometry = (
            config.rows
            | config.columns << 8
            | config.requantizer_lanes << 16
            | profiles << 24
            | config.depthwise_taps << 28
        )
        value = Signal(32, name="register_value")
        with m.Switch(offset):
            for register, source in {
                Register.IDENTITY: Const(IDENTITY, 32),
                Register.GEOMETRY: Const(geometry, 32),
                Register.CONTROL: Cat(Const(0, 1), self.step_mode),
                Register.STATUS: self.status.as_value(),
                Register.PROGRAM: self.program,
                Register.PROGRAM_COUNTER: self.program_counter,
                Register.UNITS: self.units,
                Register.QUEUES: self.queues,
                Register.SEMAPHORES: self.semaphores,
                Register.MARKS: self.marks,
                Register.CROSSBAR: Const(crossbar_word(config), 32),
            }.items():
                with m.Case(register // WORD_BYTES):
                    m.d.comb += value.eq(source)
            first = Register.COUNTERS // WORD_BYTES
            with m.Case(*(first + counter for counter in Counter)):
                m.d.comb += value.eq(self.count)
        m.d.comb += self.counter.eq(offset - first)
        return value


class _HeldVector(wiring.Component):
    """The last vector that was read, for as long as the host asks for its words one by one.

    Members:
        vector, store: keep a vector in this cycle; `address` is that of one of its words.
        address, write: the host's access. taken: it ends in this cycle.
        next: the access may be answered with `word`, the one above the last one that was read.
    """

    def __init__(self, words: int) -> None:
        self._words = words
        super().__init__(
            {
                "vector": In(32 * words),
                "store": In(1),
                "address": In(32),
                "write": In(1),
                "taken": In(1),
                "next": Out(1),
                "word": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = ceil_log2(self._words)
        if not bits:
            return m
        held = Signal.like(self.vector, reset_less=True)
        number = self.address[ceil_log2(WORD_BYTES) :]
        following = Signal(len(number), reset_less=True)
        fresh, holds = Signal(), Signal()
        m.d.comb += [
            self.next.eq(holds & ~self.write & (number == following)),
            self.word.eq(held.word_select(number[:bits], 32)),
        ]
        with m.If(self.taken):
            # A vector's last word has none behind it.
            m.d.sync += [
                following.eq(number + 1),
                holds.eq((fresh | self.next) & ~number[:bits].all()),
                fresh.eq(0),
            ]
        with m.If(self.store):
            m.d.sync += [held.eq(self.vector), fresh.eq(1)]
        return m
