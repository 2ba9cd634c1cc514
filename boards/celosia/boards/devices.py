"""FPGAs that boards may carry: what they have, and what the tools call them.

Counts are those of nextpnr 0.11's own device databases; they are what a design can use with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from celosia.hdl.family import Family


@dataclass(frozen=True, kw_only=True)
class Device:
    """One FPGA.

    Attributes:
        name: the vendor's, without package and speed grade.
        family: its family.
        nextpnr: what nextpnr calls it: an option (`85k`), or Gowin's chip family (`GW1N-9C`).
        packages: packages, each with nextpnr's name for it; for Gowin, with what stands before the
            speed grade in the ordering code.
        speeds: speed grades that nextpnr knows.
        luts: four-input look-up tables.
        flip_flops: flip-flops.
        multipliers: multiplier blocks.
        multiplier: the primitive that `multipliers` counts.
        block_rams: block RAMs.
        block_ram: the primitive that `block_rams` counts.
        block_ram_bytes: bytes of eight bits that one holds.
        large_rams: single-port RAMs of 32 KiB.
    """

    name: str
    family: Family
    nextpnr: str
    packages: Mapping[str, str]
    speeds: tuple[str, ...]
    luts: int
    flip_flops: int
    multipliers: int
    multiplier: str
    block_rams: int
    block_ram: str
    block_ram_bytes: int
    large_rams: int = 0

    @property
    def memory_bytes(self) -> int:
        """Bytes of all its RAMs together."""
        return self.block_rams * self.block_ram_bytes + self.large_rams * LARGE_RAM_BYTES


LARGE_RAM_BYTES = 32 * 1024
"""Bytes of an SB_SPRAM256KA."""


def _ecp5(size: str, speeds: tuple[str, ...], option: str, *counts: int) -> Device:
    luts, block_rams, multipliers = counts
    return Device(
        name=f"LFE5U{size}",
        family=Family.ECP5,
        nextpnr=option,
        packages={
            "BG256": "CABGA256",
            "MG285": "CSFBGA285",
            "BG381": "CABGA381",
            "BG554": "CABGA554",
            "BG756": "CABGA756",
        },
        speeds=speeds,
        luts=luts,
        flip_flops=luts,
        multipliers=multipliers,
        multiplier="MULT18X18D",
        block_rams=block_rams,
        block_ram="DP16KD",
        block_ram_bytes=2048,
    )


_SIZES = {"25": (24288, 56, 28), "45": (43848, 108, 72), "85": (83640, 208, 156)}
_COMMERCIAL = ("6", "7", "8")

_DEVICES = (
    # The 12F is a 25F that is sold for less; nextpnr lets it have all of it.
    _ecp5("-12F", _COMMERCIAL, "12k", *_SIZES["25"]),
    *(_ecp5(f"-{k}F", _COMMERCIAL, f"{k}k", *_SIZES[k]) for k in _SIZES),
    *(_ecp5(f"M-{k}F", _COMMERCIAL, f"um-{k}k", *_SIZES[k]) for k in _SIZES),
    *(_ecp5(f"M5G-{k}F", ("8",), f"um5g-{k}k", *_SIZES[k]) for k in _SIZES),
    Device(
        name="iCE40UP5K",
        family=Family.ICE40,
        nextpnr="up5k",
        packages={"SG48": "sg48"},
        speeds=("",),
        luts=5280,
        flip_flops=5280,
        multipliers=8,
        multiplier="SB_MAC16",
        block_rams=30,
        block_ram="SB_RAM40_4K",
        block_ram_bytes=512,
        large_rams=4,
    ),
    Device(
        name="GW1NR-9C",
        family=Family.GOWIN,
        nextpnr="GW1N-9C",
        packages={"QN88P": "GW1NR-LV9QN88P"},
        speeds=("C6/I5",),
        luts=8640,
        flip_flops=6480,
        multipliers=20,
        multiplier="MULT18X18",
        block_rams=26,
        block_ram="BSRAM",
        block_ram_bytes=2048,
    ),
    Device(
        name="GW2AR-18C",
        family=Family.GOWIN,
        nextpnr="GW2A-18C",
        packages={"QN88": "GW2AR-LV18QN88"},
        speeds=("C8/I7",),
        luts=20736,
        flip_flops=15552,
        multipliers=48,
        multiplier="MULT18X18",
        block_rams=46,
        block_ram="BSRAM",
        block_ram_bytes=2048,
    ),
)

DEVICES: Mapping[str, Device] = {device.name: device for device in _DEVICES}
"""The devices, by name."""
