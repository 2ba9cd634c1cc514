"""FPGA families that the gateware has primitives for."""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["SYNTHESIS_OPTIONS", "Family"]


class Family(StrEnum):
    """Families of FPGAs, named as Yosys names their synthesis: ``synth_ecp5`` and so on."""

    ECP5 = "ecp5"
    ICE40 = "ice40"
    GOWIN = "gowin"


SYNTHESIS_OPTIONS: Mapping[Family, str] = {
    Family.ECP5: "",
    Family.ICE40: "",
    # A multiplexer behind two LUTs needs a LUT for each of its inputs, even one that only passes a
    # signal on, and all of them side by side: it takes more LUTs than it saves, and fewer places.
    Family.GOWIN: "-nowidelut",
}
"""Options of the synthesis that whatever is made for a family has, and is simulated with."""
