"""FPGA families that the gateware has primitives for."""

from collections.abc import Mapping
from enum import StrEnum
from importlib.resources import files

__all__ = ["WITHOUT_LUT_RAM", "Family", "synthesis_commands", "synthesis_files"]


class Family(StrEnum):
    """Families of FPGAs, named as Yosys names their synthesis: ``synth_ecp5`` and so on."""

    ECP5 = "ecp5"
    ICE40 = "ice40"
    GOWIN = "gowin"


WITHOUT_LUT_RAM = frozenset({Family.ICE40})
"""Families whose lookup tables can't be memories."""
ECP5_WIRE_PS = 1000
"""What Yosys is to take a wire of an ECP5 for, in picoseconds: about what routing turns out to
take. By its own 300 ten LUTs behind each other seem to be as quick as a block RAM, and it makes
such chains to save a few LUTs."""
_ECP5_CARRY = "ecp5_carry.v"
ECP5_PATH_SHARE = 0.6
"""What paths of LUTs and such wires may take of a clock's period. Without a limit Yosys makes all
of them as short as the longest one can be: `npu8x8` takes a sixth more LUTs than with 8 ns."""


def synthesis_commands(
    family: Family, top: str, options: str = "", *, mhz: float | None = None
) -> list[str]:
    """Yosys' commands that map a design; whatever is made for a family is made by them.

    They read `synthesis_files` in the folder that Yosys runs in.

    Parameters
    ----------
    family : Family
        The family.
    top : str
        Name of the top module.
    options : str
        Of the ``synth_...`` command.
    mhz : float, optional
        Of the clock, for a family that minds; None asks for all that is possible.
    """
    command = f"synth_{family} {options}".rstrip()
    if family is Family.ECP5:
        limit = "" if mhz is None else f" -D {ECP5_PATH_SHARE * 1e6 / mhz:.0f}"
        return [
            f"{command} -run begin:map_luts -top {top}",
            f"abc9 -W {ECP5_WIRE_PS}{limit}",
            "clean",
            f"{command} -run map_cells: -top {top}",
            # Carries that no cell reads: their drivers end their chains.
            "select -set carry t:CCU2C",
            "select -set carried @carry %co1:+CCU2C[COUT] @carry %d",
            "select -set read c:* %ci1 w:* %i",
            "select -set last @carried @read %d %ci1:+CCU2C[COUT] @carry %i",
            "setparam -set LAST 1 @last",
            f"techmap -map {_ECP5_CARRY}",
            "opt_clean",
        ]
    if family is Family.GOWIN:
        # A multiplexer behind two LUTs needs a LUT for each of its inputs, even one that only
        # passes a signal on, and all of them side by side: it takes more LUTs than it saves, and
        # fewer places.
        command += " -nowidelut"
    return [f"{command} -top {top}"]


def synthesis_files(family: Family) -> Mapping[str, str]:
    """Files that `synthesis_commands` read: their contents by name."""
    names = [_ECP5_CARRY] if family is Family.ECP5 else []
    return {name: files("celosia.hdl").joinpath(name).read_text() for name in names}
