"""Who a board says it is."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Self

from celosia.golden.config import NpuConfig
from celosia.golden.link.commands import LEAST_RECEIVE_BYTES, PROTOCOL, RECEIVE_BYTES
from celosia.golden.memory_map import IDENTITY

DIGEST_BYTES = 8


@dataclass(frozen=True)
class Identity:
    """What IDENTITY carries behind the nonce.

    Attributes:
        protocol: version of the link's protocol.
        version: Celosia's version, three numbers.
        config: digest of the configuration; a program compiled for another one is refused.
        build: digest of the gateware's source text.
        receive_bytes: bytes that the board keeps while it is busy.
    """

    protocol: int
    version: tuple[int, int, int]
    config: bytes
    build: bytes
    receive_bytes: int

    def encode(self) -> bytes:
        """The bytes on the line: the letters CEL1 first."""
        head = IDENTITY.to_bytes(4, "little") + bytes([self.protocol, *self.version])
        return head + self.config + self.build + self.receive_bytes.to_bytes(2, "little")

    @classmethod
    def decode(cls, body: bytes) -> Self | None:
        """The identity in these bytes; None where they don't hold one."""
        if len(body) != IDENTITY_BYTES or body[:4] != IDENTITY.to_bytes(4, "little"):
            return None
        return cls(
            body[4], (body[5], body[6], body[7]), body[8:16], body[16:24], body[24] | body[25] << 8
        )


IDENTITY_BYTES = 4 + 4 + 2 * DIGEST_BYTES + 2


def config_digest(config: NpuConfig) -> bytes:
    """What tells configurations apart: all that the gateware depends on, but not names."""
    sizes = asdict(config)
    del sizes["name"]
    if config.crossbar is not None:
        del sizes["crossbar"]["emulator"]["device"]
    text = json.dumps(sizes, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()[:DIGEST_BYTES]


def board_identity(config: NpuConfig, version: str, build: bytes) -> Identity:
    """The identity of gateware of this configuration, package version and build digest."""
    numbers = [int(part) for part in version.split(".")[:3] if part.isdigit()]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return Identity(
        PROTOCOL,
        (major, minor, patch),
        config_digest(config),
        build[:DIGEST_BYTES],
        LEAST_RECEIVE_BYTES if config.is_bit_serial else RECEIVE_BYTES,
    )
