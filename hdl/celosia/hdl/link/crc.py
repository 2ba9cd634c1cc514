"""CRC-32, a bit a cycle."""

from amaranth.hdl import Cat, Const, Value

from celosia.golden.link.frames import CRC_POLYNOMIAL

__all__ = ["CRC_INIT", "CRC_RESIDUE", "next_crc"]

CRC_INIT = 0xFFFF_FFFF
CRC_RESIDUE = 0xDEBB_20E3
"""The register after a message and its own CRC, whatever the message."""


def next_crc(register: Value, bit: Value) -> Value:
    """The register [32] after one more bit, the lowest of a byte first; a message's CRC is its
    complement in the end."""
    differs = register[0] ^ bit
    return Cat(register[1:], Const(0, 1)) ^ Cat(
        differs if CRC_POLYNOMIAL >> place & 1 else Const(0, 1) for place in range(32)
    )
