"""Scripts of host-bus accesses, which the harness carries out without Python."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Semaphore, Unit
from celosia.golden.memory_map import (
    REGION_SHIFT,
    WORD_BYTES,
    Control,
    Counter,
    MemoryGeometry,
    Region,
    Register,
    Status,
    UnitState,
    memory_geometry,
)

_Value = TypeVar("_Value", bound=np.generic)


class AccessKind(IntEnum):
    """What an entry of a script is; the harness knows them by these numbers."""

    END = 0
    WRITE = 1
    READ = 2
    POLL = 3
    STAMP = 4
    FLUSH = 5


STATE_WORDS = Register.COUNTERS // WORD_BYTES + len(Counter)
_WORDS_AT_ONCE = 1 << 20
_UNIT_NAMES = [unit.name.lower() for unit in Unit]


@dataclass(frozen=True)
class NpuState:
    """All registers of the NPU at one time, word by word."""

    words: tuple[int, ...]

    def __getitem__(self, register: Register) -> int:
        return self.words[register // WORD_BYTES]

    @property
    def done(self) -> bool:
        """The program ran to its HALT."""
        return bool(self[Register.STATUS] & Status.DONE)

    @property
    def counters(self) -> dict[Counter, int]:
        """The performance counters."""
        first = Register.COUNTERS // WORD_BYTES
        return {counter: self.words[first + counter] for counter in Counter}

    def describe(self) -> str:
        """What every unit is doing, for a report of a hang."""
        units = self[Register.UNITS]
        states = ", ".join(
            f"{name} {UnitState(units >> 4 * i & 15).name.lower().replace('_', ' ')}"
            for i, name in enumerate(_UNIT_NAMES)
        )
        queues = self[Register.QUEUES]
        waiting = ", ".join(
            f"{name} {queues >> 8 * i & 255}" for i, name in enumerate(_UNIT_NAMES[1:])
        )
        semaphores = self[Register.SEMAPHORES]
        counts = ", ".join(
            f"{(semaphore.name or '').lower()} {semaphores >> 8 * i & 255}"
            for i, semaphore in enumerate(Semaphore)
        )
        return (
            f"units: {states}; instructions waiting: {waiting}; semaphores: {counts}; "
            f"program counter: {self[Register.PROGRAM_COUNTER]}; "
            f"layers done: {self[Register.MARKS]}; cycles: {self.counters[Counter.CYCLES]}"
        )


@dataclass(frozen=True)
class Access:
    """One entry of a script.

    Attributes:
        kind: what to do.
        address: byte address of the first word.
        words: what to write.
        count: how many words to read; where a wait passes its limit, how many from address 0 on.
        mask, limit: of a poll.
    """

    kind: AccessKind
    address: int = 0
    words: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    count: int = 0
    mask: int = 0
    limit: int = 0


@dataclass(frozen=True)
class ScriptResult:
    """What a script's run gave: the words it read, and how long it took.

    Attributes:
        answers: words in the order of the script's reads; short where the run timed out.
        timed_out: a wait passed its limit.
        cycles: clock cycles simulated, host accesses included; 0 where nobody counts them.
        wall_s: seconds they took.
    """

    answers: NDArray[np.uint32]
    timed_out: bool
    cycles: int
    wall_s: float


class HostScript:
    """A list of accesses, built in order; answers come back in the order of the reads.

    Where a wait passes its limit the script ends, and the last `STATE_WORDS` answers are what the
    registers held then.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        self._words: list[NDArray[np.uint32]] = []
        self.answers = 0
        """Words that the script gives."""

    def write_register(self, register: Register, value: int) -> None:
        """Write one register."""
        self._words.append(np.array([AccessKind.WRITE, register, 1, value], np.uint32))

    def write_vectors(self, region: Region, first: int, vectors: NDArray[np.generic]) -> None:
        """Write consecutive vectors: an array [n, lanes] of the region's bytes."""
        geometry = memory_geometry(self._config, region)
        words = bus_words(geometry, vectors)
        header = np.array([AccessKind.WRITE, geometry.address(first), len(words)], np.uint32)
        if len(words):
            self._words += [header, words]

    def write_words(self, address: int, words: NDArray[np.integer[Any]] | Sequence[int]) -> None:
        """Write words from a byte address on."""
        values = np.asarray(words, np.uint32)
        for first in range(0, len(values), _WORDS_AT_ONCE):
            some = values[first : first + _WORDS_AT_ONCE]
            start = address + first * WORD_BYTES
            self._words += [np.array([AccessKind.WRITE, start, len(some)], np.uint32), some]

    def read_words(self, address: int, count: int) -> slice:
        """Read words from a byte address on; returns their place among the answers."""
        if not count:
            return slice(0)
        self._words.append(np.array([AccessKind.READ, address, count], np.uint32))
        place = slice(self.answers, self.answers + count)
        self.answers += count
        return place

    def read_vectors(self, region: Region, first: int, count: int) -> slice:
        """Read consecutive vectors; returns their place among the answers."""
        geometry = memory_geometry(self._config, region)
        return self.read_words(geometry.address(first), count * geometry.stride_words)

    def read_state(self) -> slice:
        """Read all registers; returns their place among the answers."""
        return self.read_words(Region.REGISTERS << REGION_SHIFT, STATE_WORDS)

    def start(self, program: int, *, step_mode: bool = False) -> None:
        """Start the program at a vector of the weight memory."""
        self.write_register(Register.PROGRAM, program)
        mode = Control.STEP_MODE if step_mode else 0
        self.write_register(Register.CONTROL, Control.START | mode)

    def step(self) -> None:
        """In step mode, let the NPU carry out the next instruction."""
        self.write_register(Register.CONTROL, Control.STEP_MODE | Control.STEP)

    def poll(self, mask: int, limit: int, address: int = Register.STATUS) -> None:
        """Wait for a bit, by default of STATUS, at most `limit` cycles."""
        words = [AccessKind.POLL, address, mask, limit, STATE_WORDS]
        self._words.append(np.array(words, np.uint32))

    def wait(self, mask: int, limit: int) -> slice:
        """Wait for a STATUS bit, at most `limit` cycles, then read all registers."""
        self.poll(mask, limit)
        return self.read_state()

    def stamp(self) -> int:
        """Note the number of the clock cycle, modulo 2^32; returns its place among the answers."""
        self._words.append(np.array([AccessKind.STAMP], np.uint32))
        self.answers += 1
        return self.answers - 1

    def accesses(self) -> Iterator[Access]:
        """The entries, in order."""
        words = np.concatenate(self._words) if self._words else np.empty(0, np.uint32)
        at = 0
        while at < len(words):
            kind = AccessKind(int(words[at]))
            if kind is AccessKind.STAMP:
                yield Access(kind)
                at += 1
                continue
            address, count = int(words[at + 1]), int(words[at + 2])
            at += 3
            if kind is AccessKind.WRITE:
                yield Access(kind, address, words[at : at + count])
                at += count
            elif kind is AccessKind.READ:
                yield Access(kind, address, count=count)
            else:
                mask, (limit, state) = count, (int(word) for word in words[at : at + 2])
                yield Access(kind, address, mask=mask, limit=limit, count=state)
                at += 2

    def encode(self, end: Sequence[AccessKind] = (AccessKind.END,)) -> bytes:
        """The script as the harness reads it, with kinds that take no operands at its end."""
        words = np.array(end, np.uint32)
        return np.concatenate([*self._words, words]).astype(">u4").tobytes()

    def vectors(
        self, region: Region, answers: NDArray[np.uint32], dtype: type[_Value]
    ) -> NDArray[_Value]:
        """The answers of `read_vectors` as an array [n, lanes]."""
        geometry = memory_geometry(self._config, region)
        raw = answers.astype("<u4").view(np.uint8).reshape(-1, geometry.stride_words * WORD_BYTES)
        return np.ascontiguousarray(raw[:, : geometry.vector_bytes]).view(dtype)


def bus_words(geometry: MemoryGeometry, vectors: NDArray[np.generic]) -> NDArray[np.uint32]:
    """Consecutive vectors, an array [n, lanes] of the region's bytes, as words of the bus."""
    padded = np.zeros((len(vectors), geometry.stride_words * WORD_BYTES), np.uint8)
    padded[:, : geometry.vector_bytes] = np.ascontiguousarray(vectors).view(np.uint8)
    return padded.view("<u4").reshape(-1).astype(np.uint32)


def state_of(answers: Sequence[int] | NDArray[np.uint32]) -> NpuState:
    """The registers that `read_state` or `wait` read."""
    return NpuState(tuple(int(word) for word in answers))
