r"""Frames: byte-stuffed, checked, numbered.

On the line a frame is its bytes in COBS (S. Cheshire, M. Baker, Consistent Overhead Byte Stuffing,
IEEE/ACM Transactions on Networking 7(2), 1999) and a zero behind them. Zeros appear nowhere else,
so that whoever has lost the thread is in step again at the next zero. Unstuffed, a frame is

    sequence (1 byte), command (1 byte), body, CRC-32 (4 bytes, lowest first)

and at most 254 bytes long, so that COBS adds exactly one byte. The CRC is that of Ethernet and
zlib, over all bytes before it. A frame whose CRC is wrong, or which is too long or too short, is as
if it had never been sent.
"""

import zlib
from dataclasses import dataclass

DELIMITER = 0
MAX_FRAME = 254
"""Bytes of an unstuffed frame, at most: those of one COBS block."""
CRC_BYTES = 4
HEADER_BYTES = 2
MAX_BODY = MAX_FRAME - HEADER_BYTES - CRC_BYTES
CRC_POLYNOMIAL = 0xEDB88320
"""CRC-32 of IEEE 802.3, bits reversed."""


@dataclass(frozen=True)
class Frame:
    """A frame that arrived whole."""

    sequence: int
    command: int
    body: bytes


def encode_frame(frame: Frame) -> bytes:
    """The bytes on the line, delimiter included."""
    content = bytes([frame.sequence, frame.command]) + frame.body
    content += zlib.crc32(content).to_bytes(CRC_BYTES, "little")
    return stuff(content) + bytes([DELIMITER])


def decode_frame(stuffed: bytes) -> Frame | None:
    """The frame that bytes between two delimiters hold; None where it isn't whole."""
    content = unstuff(stuffed)
    if content is None or not HEADER_BYTES + CRC_BYTES <= len(content) <= MAX_FRAME:
        return None
    content, crc = content[:-CRC_BYTES], content[-CRC_BYTES:]
    if zlib.crc32(content) != int.from_bytes(crc, "little"):
        return None
    return Frame(content[0], content[1], content[HEADER_BYTES:])


def stuff(content: bytes) -> bytes:
    """COBS of at most 254 bytes: each zero becomes the distance to the next one."""
    blocks = content.split(b"\0")
    return b"".join(bytes([len(block) + 1]) + block for block in blocks)


def unstuff(stuffed: bytes) -> bytes | None:
    """What was stuffed; None where the distances don't add up."""
    content = bytearray()
    at = 0
    while at < len(stuffed):
        distance = stuffed[at]
        end = at + distance
        if distance == 0 or end > len(stuffed):
            return None
        content += stuffed[at + 1 : end]
        if end < len(stuffed):
            content.append(0)
        at = end
    return bytes(content) if stuffed else None


class FrameReader:
    """Cuts a stream of bytes into frames; what isn't whole is counted and dropped."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._overlong = False
        self.dropped = 0

    def feed(self, received: bytes) -> list[Frame]:
        """The frames that these bytes complete."""
        frames = []
        for byte in received:
            if byte != DELIMITER:
                if len(self._pending) > MAX_FRAME:
                    self._overlong = True
                else:
                    self._pending.append(byte)
                continue
            frame = None if self._overlong else decode_frame(bytes(self._pending))
            if frame is not None:
                frames.append(frame)
            elif self._pending:
                self.dropped += 1
            self._pending.clear()
            self._overlong = False
        return frames
