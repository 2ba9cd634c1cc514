"""The host's door: a 32-bit bus on registers and memories."""

from functools import reduce
from itertools import chain
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Semaphore
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

FIRST_COUNTER = Register.COUNTERS // WORD_BYTES
REGISTERS = 1 << ceil_log2(FIRST_COUNTER + len(Counter))
"""Words that their region may have: a power of two, above which nothing is mapped."""
GROUPS = {Region.SCRATCHPAD: 1, Region.WEIGHTS: 1, Region.ACCUMULATORS: 4, Region.PROFILE: 4}
"""Words of a vector that one multiplexer chooses from: none stands behind the memories that are
several block RAMs deep, which end in one already."""
STATUS = data.StructLayout({"busy": 1, "done": 1, "illegal": 1, "stepped": 1})
"""The STATUS register, in the order of `memory_map.Status`."""


class HostPort(wiring.Component):
    """Serves the host's reads and writes one at a time, in order.

    An access has its turn in the cycle after it was accepted; the next one is accepted in the cycle
    in which it ends. Writes take one cycle, START two, more where the NPU's own writes keep a
    memory busy. The answer to a register's read is offered one cycle after its turn has come, or a
    counter is `current`, to a memory's one cycle after the memory has answered; the read ends in
    the cycle that takes it. The scratchpad is read once for the words of a vector that are asked
    for one behind the other, upwards and with no other access between: all but the first are
    answered like registers. Unmapped addresses, vectors beyond a memory's depth among them, read as
    zero and ignore writes; bits 0-1 of an address are not looked at. Reset forgets the access in
    hand, step mode and program.

    Members:
        request: stream of `HostRequest`. response: one 32-bit word for each read, in order.
        scratchpad_read, weights_read: readers of the memories.
        accumulators_read, profile_read: the same, where the configuration has them for the host.
        scratchpad_write, weights_write: writers; a mask bit for each byte of a vector.
        crossbar_request, crossbar_response: region CROSSBAR, where there is a crossbar.
        start, step: pulses, from registers, in the turn of their access.
        step_mode, program: registers of the host; of the latter as many bits as the weight memory's
            addresses have.
        status, program_counter, units, queues, semaphores, marks: what it can read.
        counter, count, current: the counter that is asked for and what `PerformanceCounters` shows
            of it: in the turn of the access at once where there is a profile, and as soon as it is
            `current` where there is none.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        rows, columns = config.rows, config.columns
        program_bits = ceil_log2(config.weight_depth)
        optional: dict[str, wiring.Member] = {}
        if config.readable_sums:
            optional["accumulators_read"] = Out(MemoryReadSignature(vector(columns, 32)))
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
                "scratchpad_write": Out(MemoryWriteSignature(rows)),
                "weights_write": Out(MemoryWriteSignature(columns)),
                "start": Out(1),
                "step": Out(1),
                "step_mode": Out(1),
                "program": Out(program_bits),
                "status": In(STATUS),
                "program_counter": In(program_bits),
                "units": In(16),
                "queues": In(24),
                "semaphores": In(COUNT_BITS * len(Semaphore)),
                "marks": In(16),
                "counter": Out(range(len(Counter))),
                "count": In(32),
                "current": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What an access is for is found out as it is accepted: arbiters, far behind the address,
        # get their requests from registers.
        access = Signal(HostRequest, reset_less=True)
        present, writing, ends = Signal(), Signal(), Signal()
        m.submodules.held = held = _HeldVector(
            memory_geometry(self._config, Region.SCRATCHPAD).stride_words
        )
        asks = {memory: Signal(name=f"asks_{memory.name.lower()}") for memory in self._readers()}
        writes = {
            memory: Signal(name=f"writes_{memory.name.lower()}") for memory in self._writers()
        }
        on_crossbar, on_registers, awaits_count = Signal(), Signal(), Signal()
        offered = self.request.payload
        region = offered.address[REGION_SHIFT:]
        accepts = self.request.valid & self.request.ready
        number = _register_number(access)
        is_counter = (number >= FIRST_COUNTER) & (number < FIRST_COUNTER + len(Counter))
        m.d.comb += [
            self.request.ready.eq(~present | ends),
            held.offered.eq(offered.address),
            held.accepts.eq(accepts),
            held.address.eq(access.address),
            held.read.eq(present & ~writing),
            held.ends.eq(ends),
            self.counter.eq(
                _offset(offered if self._config.profile_depth else access) - FIRST_COUNTER
            ),
            awaits_count.eq(on_registers & is_counter & ~self.current),
        ]
        with m.If(self.request.ready):
            m.d.sync += [
                present.eq(self.request.valid),
                writing.eq(self.request.valid & offered.write),
                access.eq(offered),
                on_crossbar.eq(self.request.valid & (region == Region.CROSSBAR)),
                on_registers.eq((region == Region.REGISTERS) & (_offset(offered) < REGISTERS)),
            ]
            for memory, flag in asks.items():
                exists = self._position(memory, offered)[2]
                wanted = ~held.follows if memory is Region.SCRATCHPAD else Const(1)
                m.d.sync += flag.eq(accepts & ~offered.write & (region == memory) & exists & wanted)
            for memory, flag in writes.items():
                exists = self._position(memory, offered)[2]
                m.d.sync += flag.eq(accepts & offered.write & (region == memory) & exists)
        commands = (
            accepts
            & offered.write
            & (region == Region.REGISTERS)
            & (_offset(offered) == Register.CONTROL // WORD_BYTES)
        )
        m.d.sync += [
            self.start.eq(commands & offered.data[ceil_log2(Control.START)]),
            self.step.eq(commands & offered.data[ceil_log2(Control.STEP)]),
        ]
        for memory, flag in asks.items():
            request = self._readers()[memory].request
            m.d.comb += [
                request.valid.eq(flag),
                request.payload.address.eq(self._position(memory, access)[0]),
            ]
        for memory, flag in writes.items():
            self._write_word(m, memory, access, flag)

        # What answers has a register of its own, and all others are zero: a multiplexer in front of
        # one register would stand behind the memories, whose outputs are late. For the same reason
        # each group of a vector's words has one.
        answer = Signal(32)
        fetched = {
            memory: [
                Signal(32, name=f"{memory.name.lower()}_answer_{number}")
                for number in range(
                    -(-memory_geometry(self._config, memory).stride_words // GROUPS[memory])
                )
            ]
            for memory in asks
        }
        answers = [answer, *chain.from_iterable(fetched.values())]
        m.d.comb += self.response.payload.eq(reduce(or_, answers))

        with m.FSM(name="host") as machine:
            with m.State("ACCESS"):
                m.d.sync += [register.eq(0) for register in answers]
                with m.If(writing):
                    with m.If(on_registers):
                        self._write_register(m, access)
                with m.Elif(present & held.next):
                    m.d.sync += answer.eq(held.word)
                    m.next = "ANSWER"
                for memory, flag in asks.items():
                    with m.Elif(flag):
                        with m.If(self._readers()[memory].request.ready):
                            m.d.sync += flag.eq(0)
                            m.next = f"FETCH_{memory.name}"
                if self._config.crossbar is not None:
                    with m.Elif(on_crossbar):
                        with m.If(self.crossbar_request.ready):
                            m.next = "FETCH_CROSSBAR"
                with m.Elif(present & ~awaits_count):
                    m.d.sync += answer.eq(Mux(on_registers, self._register(m, access), 0))
                    m.next = "ANSWER"
            for memory, words in fetched.items():
                with m.State(f"FETCH_{memory.name}"):
                    self._fetch(m, memory, access, words, held)
            if self._config.crossbar is not None:
                with m.State("FETCH_CROSSBAR"):
                    m.d.comb += self.crossbar_response.ready.eq(1)
                    with m.If(self.crossbar_response.valid):
                        m.d.sync += answer.eq(self.crossbar_response.payload)
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.response.valid.eq(1)
                with m.If(self.response.ready):
                    m.next = "ACCESS"
        held_up = [flag & ~self._writers()[memory].ready for memory, flag in writes.items()]
        # A start takes two turns: the units are reset in the second one, and would forget a read.
        held_up.append(self.start)
        if self._config.crossbar is not None:
            m.d.comb += [
                self.crossbar_request.payload.eq(access),
                self.crossbar_request.valid.eq(machine.ongoing("ACCESS") & on_crossbar),
            ]
            held_up.append(on_crossbar & ~self.crossbar_request.ready)
        m.d.comb += ends.eq(
            Mux(writing, ~Cat(held_up).any(), self.response.valid & self.response.ready)
        )
        return m

    def _readers(self) -> dict[Region, wiring.PureInterface]:
        readers = {
            Region.SCRATCHPAD: self.scratchpad_read,
            Region.WEIGHTS: self.weights_read,
        }
        if self._config.readable_sums:
            readers[Region.ACCUMULATORS] = self.accumulators_read
        if self._config.profile_depth:
            readers[Region.PROFILE] = self.profile_read
        return readers

    def _writers(self) -> dict[Region, stream.Interface]:
        return {Region.SCRATCHPAD: self.scratchpad_write, Region.WEIGHTS: self.weights_write}

    def _position(self, region: Region, access: data.View) -> tuple[object, object, object]:
        """The vector and the word in it that an access's address names; is there such a vector"""
        geometry = memory_geometry(self._config, region)
        word_bits = ceil_log2(geometry.stride_words)
        words = _offset(access)
        return words[word_bits:], words[:word_bits], words[word_bits:] < geometry.depth

    def _write_register(self, m: Module, access: data.View) -> None:
        with m.Switch(_register_number(access)):
            with m.Case(Register.CONTROL // WORD_BYTES):
                m.d.sync += self.step_mode.eq(access.data[ceil_log2(Control.STEP_MODE)])
            with m.Case(Register.PROGRAM // WORD_BYTES):
                m.d.sync += self.program.eq(access.data)

    def _write_word(self, m: Module, region: Region, access: data.View, flag: Signal) -> None:
        port = self._writers()[region]
        geometry = memory_geometry(self._config, region)
        address, word, _ = self._position(region, access)
        lanes = Signal(geometry.stride_words * WORD_BYTES, name=f"lanes_{region.name.lower()}")
        m.d.comb += [
            port.valid.eq(flag),
            port.payload.address.eq(address),
            port.payload.vector.eq(access.data.replicate(geometry.stride_words)),
            lanes.word_select(word, WORD_BYTES).eq(-1),
            port.payload.mask.eq(lanes),
        ]

    def _fetch(
        self,
        m: Module,
        region: Region,
        access: data.View,
        answers: list[Signal],
        held: "_HeldVector",
    ) -> None:
        port = self._readers()[region]
        _, word, _ = self._position(region, access)
        size = memory_geometry(self._config, region).stride_words * 32
        vector = port.response.payload.vector.as_value()
        padded = Cat(vector, Const(0, size - len(vector)))
        m.d.comb += port.response.ready.eq(1)
        words = GROUPS[region]
        place_bits = ceil_log2(words)
        for number, answer in enumerate(answers):
            group = padded[number * words * 32 : (number + 1) * words * 32]
            with m.If(word[place_bits:] == number):
                m.d.sync += answer.eq(group.word_select(word[:place_bits], 32))
        if region is Region.SCRATCHPAD:
            m.d.comb += [held.vector.eq(padded), held.store.eq(port.response.valid)]
        with m.If(port.response.valid):
            m.next = "ANSWER"

    def _register(self, m: Module, access: data.View) -> Signal:
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
        with m.Switch(_register_number(access)):
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
            with m.Case(*(FIRST_COUNTER + counter for counter in Counter)):
                m.d.comb += value.eq(self.count)
        return value


def _register_number(access: data.View) -> object:
    """`_offset` where it is below `REGISTERS`."""
    return _offset(access)[: ceil_log2(REGISTERS)]


def _offset(access: data.View) -> object:
    """The word that an access's address names, counted within its region."""
    return access.address[ceil_log2(WORD_BYTES) : REGION_SHIFT]


class _HeldVector(wiring.Component):
    """The last vector that was read, for as long as the host asks for its words one by one.

    Members:
        vector, store: keep a vector in this cycle; `address` is that of one of its words.
        offered, accepts: the address of an access that is accepted in this cycle.
        follows: that access, if it is a read, will be answered from here.
        address, read, ends: the access in hand, whether it is a read, and ends in this cycle.
        next: it is to be answered with `word`, the one above the last one that was read.
    """

    def __init__(self, words: int) -> None:
        self._words = words
        super().__init__(
            {
                "vector": In(32 * words),
                "store": In(1),
                "offered": In(32),
                "accepts": In(1),
                "follows": Out(1),
                "address": In(32),
                "read": In(1),
                "ends": In(1),
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
        offered = self.offered[ceil_log2(WORD_BYTES) :]
        following = Signal(len(number), reset_less=True)
        fresh, holds, holds_on, in_turn = Signal(), Signal(), Signal(), Signal()
        # A vector's last word has none behind it.
        m.d.comb += [
            holds_on.eq(Mux(self.ends, (fresh | self.next) & ~number[:bits].all(), holds)),
            self.follows.eq(holds_on & (offered == following)),
            self.next.eq(in_turn & self.read),
            self.word.eq(held.word_select(number[:bits], 32)),
        ]
        m.d.sync += holds.eq(holds_on)
        with m.If(self.accepts):
            m.d.sync += [in_turn.eq(self.follows), following.eq(offered + 1)]
        with m.If(self.ends):
            m.d.sync += fresh.eq(0)
        with m.If(self.store):
            m.d.sync += [held.eq(self.vector), fresh.eq(1)]
        return m
