"""FPGA families that the gateware has primitives for."""

from enum import StrEnum

__all__ = ["Family"]


class Family(StrEnum):
    """Families of FPGAs, named as Yosys names their synthesis: ``synth_ecp5`` and so on."""

    ECP5 = "ecp5"
    ICE40 = "ice40"
    GOWIN = "gowin"
