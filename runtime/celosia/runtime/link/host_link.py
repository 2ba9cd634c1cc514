"""The driver's core: words to and from a board, whatever the line does to them."""

import secrets
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError
from celosia.golden.link.commands import (
    MAX_WORDS,
    PROTOCOL,
    SEQUENCES,
    WORD_BYTES,
    Reply,
    Request,
)
from celosia.golden.link.endpoint import NONCE_BYTES
from celosia.golden.link.frames import DELIMITER, Frame, FrameReader, encode_frame
from celosia.golden.link.identity import Identity

_WINDOW = SEQUENCES // 2
_LEAST_WORDS = 4
"""Words of a frame on a line that damages most longer ones."""
_LEAST_TIMEOUT_S = 0.02
_IMPATIENCE = 4
"""Round trips without an answer after which frames are sent again."""
_HOPELESS = 2
"""Time-outs in a row after which shorter frames are tried."""
_ANSWERS = {Request.READ: Reply.DATA, Request.WRITE: Reply.DONE}


class LinkError(CelosiaError):
    """The board doesn't answer, or not as it should."""


class Line(Protocol):
    """Bytes to and from a board."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """Bytes that are there, at least one unless the time runs out first."""
        ...


class HostLink:
    """Reads and writes words of a board's host bus (`celosia.golden.memory_map`).

    Frames go out ahead of their answers, as many as the board has room for. What gets lost,
    damaged or doubled is sent again, in shorter frames where much of it does: writes take effect
    in order, that of a single word exactly once; reads may be repeated.

    Parameters
    ----------
    line : Line
        The board's line, open.
    timeout_s : float
        Silence after which frames are sent again, if the board isn't known to answer sooner.
    attempts : int
        Time-outs in a row after which the board is given up.

    Attributes
    ----------
    resent : int
        Frames that were sent again so far.
    """

    def __init__(self, line: Line, *, timeout_s: float = 1.0, attempts: int = 12) -> None:
        self._line = line
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._reader = FrameReader()
        self._sequence = 0
        self._room = 0
        self._frame_words = MAX_WORDS
        self._round_trip_s = timeout_s / _IMPATIENCE
        self._silences = 0
        self.resent = 0

    def connect(self) -> Identity:
        """Begin anew and learn who the board is.

        Raises:
            LinkError: nobody answers, or somebody with another protocol.
        """
        for _ in range(self._attempts):
            nonce = secrets.token_bytes(NONCE_BYTES)
            sequence = secrets.randbelow(SEQUENCES)
            # A delimiter ends whatever the board has been hearing.
            request = encode_frame(Frame(sequence, Request.CONNECT, nonce))
            self._line.write(bytes([DELIMITER]) + request)
            deadline = time.monotonic() + self._timeout_s
            while (left := deadline - time.monotonic()) > 0:
                for frame in self._reader.feed(self._line.read(left)):
                    if frame.command == Reply.IDENTITY and frame.body[:NONCE_BYTES] == nonce:
                        self._sequence = (sequence + 1) % SEQUENCES
                        return self._check(Identity.decode(frame.body[NONCE_BYTES:]))
        raise LinkError(
            f"board must answer within {self._attempts * self._timeout_s:g} s, and nothing that "
            f"makes sense came back: check the port, the baud rate and the bitstream"
        )

    def _check(self, identity: Identity | None) -> Identity:
        if identity is None or identity.protocol != PROTOCOL:
            spoken = "another one" if identity is None else str(identity.protocol)
            raise LinkError(
                f"board must speak version {PROTOCOL} of the link's protocol, not {spoken}: "
                f"build its bitstream with this version of Celosia"
            )
        self._room = identity.receive_bytes
        return identity

    def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """`count` consecutive words from a byte address on.

        Raises:
            LinkError: the board doesn't answer any more. `connect` comes before anything else.
        """
        words = np.zeros(count, np.uint32)
        self._transfer(Request.READ, address, words)
        return words

    def write(self, address: int, words: NDArray[np.uint32]) -> None:
        """Write consecutive words from a byte address on.

        Raises:
            LinkError: the board doesn't answer any more. Some words may have been written, and
                `connect` comes before anything else.
        """
        self._transfer(Request.WRITE, address, words)

    def _transfer(self, command: Request, address: int, words: NDArray[np.uint32]) -> None:
        """Move words, which a READ fills in, frame by frame until none is missing."""
        missing = [(0, len(words))] if len(words) else []
        self._silences = 0
        while missing:
            spans = [
                (first, min(first + self._frame_words, end))
                for begin, end in missing
                for first in range(begin, end, self._frame_words)
            ]
            bodies = []
            for first, end in spans:
                place = (address + WORD_BYTES * first).to_bytes(4, "little")
                if command is Request.READ:
                    bodies.append(place + bytes([end - first]))
                else:
                    bodies.append(place + words[first:end].astype("<u4").tobytes())
            answers = self._send(command, bodies, [end - first for first, end in spans])
            for index, answer in answers.items():
                if command is Request.READ:
                    first, end = spans[index]
                    words[first:end] = np.frombuffer(answer, "<u4")
            missing = [span for index, span in enumerate(spans) if index not in answers]

    def _send(
        self, command: Request, bodies: Sequence[bytes], counts: Sequence[int]
    ) -> dict[int, bytes]:
        """Have frames carried out in order; the answers that arrived, by place.

        Ends early where the line is too bad for frames of this length. The frame that came next
        may then have been carried out or not, and is begun again under the same sequence: where it
        was, the board says so, and its words are the same.
        """
        lines = [
            encode_frame(Frame((self._sequence + place) % SEQUENCES, command, body))
            for place, body in enumerate(bodies)
        ]
        expected = [WORD_BYTES * n if command is Request.READ else 0 for n in counts]
        window = _Window(self._sequence, command, lines, expected, self._room)
        while not window.complete:
            before = window.done
            self._line.write(window.take())
            self._await(window)
            if window.done > before:
                self._silences = 0
            if self._silences > self._attempts:
                why = "was reset meanwhile" if window.astray else "fell silent"
                raise LinkError(
                    f"board must answer, and {why}: {self._silences} attempts at a "
                    f"{command.name} came to nothing"
                )
            if self._silences >= _HOPELESS and self._frame_words > _LEAST_WORDS:
                break
        self._sequence = (self._sequence + window.done) % SEQUENCES
        self._adapt(window)
        return window.results

    def _await(self, window: "_Window") -> None:
        """Take answers until something may be sent, or for as long as one may take."""
        begin = time.monotonic()
        while not window.wants_more:
            patience = min(self._timeout_s, max(_LEAST_TIMEOUT_S, self._patience_s))
            left = begin + patience - time.monotonic()
            if left <= 0:
                self._silences += 1
                self._round_trip_s = min(2 * self._round_trip_s, self._timeout_s)
                window.go_back()
                return
            for frame in self._reader.feed(self._line.read(left)):
                now = time.monotonic()
                self._round_trip_s = max(now - begin, 0.9 * self._round_trip_s)
                begin = now
                window.arrive(frame)

    @property
    def _patience_s(self) -> float:
        return _IMPATIENCE * self._round_trip_s

    def _adapt(self, window: "_Window") -> None:
        """Shorter frames where a quarter was sent again, longer ones where none was."""
        self.resent += window.resent
        if 4 * window.resent > window.done:
            self._frame_words = max(_LEAST_WORDS, self._frame_words // 2)
        elif window.resent == 0:
            self._frame_words = min(MAX_WORDS, 2 * self._frame_words)


class _Window:
    """Frames under way: those before `done` were carried out.

    Attributes:
        done: frames that are known to have been carried out.
        resent: frames that were sent again.
        results: bodies of the answers, by place.
        astray: the board expects none of these frames.
    """

    def __init__(
        self,
        first: int,
        command: Request,
        lines: Sequence[bytes],
        answer_bytes: Sequence[int],
        room: int,
    ) -> None:
        self._first = first
        self._command = command
        self._lines = lines
        self._answer_bytes = answer_bytes
        self._room = room
        self._sent = 0
        self._reached = 0
        self._went_back_to = -1
        self.done = 0
        self.resent = 0
        self.results: dict[int, bytes] = {}
        self.astray = False

    @property
    def complete(self) -> bool:
        """All were carried out."""
        return self.done == len(self._lines)

    @property
    def wants_more(self) -> bool:
        """Whether there is something to be sent, or nothing to be awaited."""
        return self.complete or self._fits

    def take(self) -> bytes:
        """The frames that may be sent now, which then count as sent."""
        begin = self._sent
        while self._fits:
            self._sent += 1
        self.resent += max(0, min(self._reached, self._sent) - begin)
        self._reached = max(self._reached, self._sent)
        return b"".join(self._lines[begin : self._sent])

    @property
    def _fits(self) -> bool:
        if self._sent == len(self._lines) or self._sent - self.done >= _WINDOW:
            return False
        under_way = sum(len(line) for line in self._lines[self.done : self._sent + 1])
        return under_way <= self._room or self._sent == self.done

    def go_back(self) -> None:
        """Send again what wasn't carried out, as far as is known."""
        self._sent = self.done
        self._went_back_to = -1

    def arrive(self, frame: Frame) -> None:
        """Take an answer.

        Raises:
            LinkError: the board refused a frame.
        """
        place = self.done + (frame.sequence - self._first - self.done) % SEQUENCES
        if frame.command == Reply.EXPECTED:
            self._expected(place)
        elif place < self._sent:
            if frame.command == Reply.REFUSED:
                raise LinkError(f"board must know what it is asked, and refused a {self._command}")
            answers = frame.command == _ANSWERS[self._command]
            if answers and len(frame.body) == self._answer_bytes[place]:
                self.results[place] = frame.body
                self._advance(place + 1)

    def _expected(self, place: int) -> None:
        """The board says whose turn it is: those before were carried out."""
        self.astray = place > self._sent  # or an old answer, which was late
        if self.astray:
            return
        self._advance(place)
        if place < self._sent and self._went_back_to != place:
            self._sent = place
            self._went_back_to = place

    def _advance(self, place: int) -> None:
        if self._command is Request.WRITE:
            # Carried out is done, whatever became of the answer.
            for index in range(self.done, place):
                self.results.setdefault(index, b"")
        self.done = max(self.done, place)
