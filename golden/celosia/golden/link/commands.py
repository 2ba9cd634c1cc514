"""What host and board say to each other.

The host numbers its frames. The board carries out a frame only if its sequence is the one it
expects next, and answers it under the same sequence; so nothing is done twice or out of order,
however often the host repeats itself. A frame out of turn is answered with EXPECTED, which tells
the host how far the board has got. CONNECT begins anew from any state.
"""

from enum import IntEnum

PROTOCOL = 1
"""Version of this protocol, in IDENTITY."""
SEQUENCES = 256
WORD_BYTES = 4
ADDRESS_BYTES = 4
MAX_WORDS = 60
"""Words that one READ or WRITE moves, at most."""
RECEIVE_BYTES = 2048
"""Bytes on the line that a board keeps while it is busy. A host must not have more of them under
way, delimiters included, than IDENTITY says: those of the frames that it has no answer to."""
LEAST_RECEIVE_BYTES = 512
"""The same of the smallest boards: a frame of any length, and part of the next one."""


class Request(IntEnum):
    """Commands of the host."""

    CONNECT = 0x01
    """Expect sequence + 1 next. Body: 4 bytes of the host's choice, which the answer repeats."""
    READ = 0x02
    """Body: address, 4 bytes, and how many words, 1 byte, 1 to 60. Reads consecutive words."""
    WRITE = 0x03
    """Body: address, 4 bytes, and 1 to 60 words. Writes consecutive words."""


class Reply(IntEnum):
    """Answers of the board: the command's own number with the highest bit set, or one of these."""

    IDENTITY = 0x81
    """To CONNECT. Body: its 4 bytes, then `Identity`."""
    DATA = 0x82
    """To READ. Body: the words."""
    DONE = 0x83
    """To WRITE. No body."""
    EXPECTED = 0xC0
    """The frame's sequence is not the one expected. Its own sequence is the one that is."""
    REFUSED = 0xC1
    """A command that doesn't exist, or a body of another length than it says. Nothing was done."""
