"""The board's end of the link, as a model: what its gateware answers to each frame."""

from typing import Protocol

from celosia.golden.link.commands import (
    ADDRESS_BYTES,
    MAX_WORDS,
    SEQUENCES,
    WORD_BYTES,
    Reply,
    Request,
)
from celosia.golden.link.frames import Frame
from celosia.golden.link.identity import Identity

NONCE_BYTES = 4


class HostBus(Protocol):
    """32-bit words at byte addresses (`celosia.golden.memory_map`)."""

    def read(self, address: int) -> int:
        """The word at an address."""
        ...

    def write(self, address: int, word: int) -> None:
        """Write a word."""
        ...


class Endpoint:
    """Executes frames in turn on a host bus."""

    def __init__(self, identity: Identity, bus: HostBus) -> None:
        self._identity = identity
        self._bus = bus
        self._expected = 0

    @property
    def expected(self) -> int:
        """Sequence of the frame whose turn it is."""
        return self._expected

    def answer(self, frame: Frame) -> Frame:
        """Carry out a frame if it is its turn, and answer it."""
        body = frame.body
        if frame.command == Request.CONNECT and len(body) == NONCE_BYTES:
            self._expected = (frame.sequence + 1) % SEQUENCES
            return Frame(frame.sequence, Reply.IDENTITY, body + self._identity.encode())
        if frame.sequence != self._expected:
            return Frame(self._expected, Reply.EXPECTED, b"")
        address = int.from_bytes(body[:ADDRESS_BYTES], "little")
        rest = body[ADDRESS_BYTES:]
        if frame.command == Request.READ and len(rest) == 1 and 1 <= rest[0] <= MAX_WORDS:
            self._turn()
            words = [
                self._bus.read((address + WORD_BYTES * i) & 0xFFFF_FFFF).to_bytes(4, "little")
                for i in range(rest[0])
            ]
            return Frame(frame.sequence, Reply.DATA, b"".join(words))
        if frame.command == Request.WRITE and self._holds_words(rest):
            self._turn()
            for offset in range(0, len(rest), WORD_BYTES):
                word = int.from_bytes(rest[offset : offset + WORD_BYTES], "little")
                self._bus.write((address + offset) & 0xFFFF_FFFF, word)
            return Frame(frame.sequence, Reply.DONE, b"")
        return Frame(frame.sequence, Reply.REFUSED, b"")

    def _turn(self) -> None:
        self._expected = (self._expected + 1) % SEQUENCES

    @staticmethod
    def _holds_words(body: bytes) -> bool:
        return 0 < len(body) <= MAX_WORDS * WORD_BYTES and len(body) % WORD_BYTES == 0
