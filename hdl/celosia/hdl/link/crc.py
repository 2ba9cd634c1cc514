"""CRC-32, a byte a cycle."""

from amaranth.hdl import Cat, Signal, Value

from celosia.golden.link.frames import CRC_POLYNOMIAL

__all__ = ["CRC_INIT", "CRC_RESIDUE", "next_crc"]

CRC_INIT = 0xFFFF_FFFF
CRC_RESIDUE = 0xDEBB_20E3
"""The register after a message and its own CRC, whatever the message."""


def next_crc(register: Value, byte: Value) -> Value:
    """The register [32] after one more byte; a message's CRC is its complement in the end."""
    bits = [register[i] ^ (byte[i] if i < 8 else 0) for i in range(32)]
    for _ in range(8):
        low = bits[0]
        bits = [
            (bits[i + 1] if i < 31 else 0) ^ (low if CRC_POLYNOMIAL >> i & 1 else 0)
            for i in range(32)
        ]
    return Cat(*(bit[0] if isinstance(bit, Signal) else bit for bit in bits))
