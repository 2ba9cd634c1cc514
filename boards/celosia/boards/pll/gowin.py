"""Gowin's rPLL: output = input / (IDIV_SEL + 1) * (FBDIV_SEL + 1); the VCO is ODIV_SEL times that.

Limits: Gowin DS117 (GW1NR series data sheet) and DS226 (GW2AR series data sheet), PLL switching
characteristics, for the boards' speed grades. Dividers: Gowin UG286 (Gowin clock user guide).
"""

from collections.abc import Iterator
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal

from celosia.boards.board import Board
from celosia.boards.pll.settings import Limits, PllSettings, best, exact, limits, near, vco_range

LIMITS = {
    "GW1NR-9C": limits((3, 400), (3, 400), (400, 1200), (3.125, 600)),
    "GW2AR-18C": limits((3, 500), (3, 500), (500, 1250), (3.90625, 625)),
}
OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


def settings(input_mhz: float, output_mhz: float, device: str) -> PllSettings:
    """The best settings; raises CelosiaError where none is near."""
    allowed = LIMITS[device]
    return best(_candidates(input_mhz, output_mhz, allowed), allowed, input_mhz, output_mhz)


def _candidates(input_mhz: float, output_mhz: float, allowed: Limits) -> Iterator[PllSettings]:
    source, wanted = exact(input_mhz), exact(output_mhz)
    for reference in range(64):
        detector = source / (reference + 1)
        for divider in OUTPUT_DIVIDERS:
            slowest, fastest = vco_range(allowed, divider)
            most = min(fastest / divider / detector, Fraction(64))
            for multiple in near(wanted / detector, slowest / divider / detector, most):
                output = detector * multiple
                yield PllSettings(
                    input_mhz=source,
                    detector_mhz=detector,
                    vco_mhz=output * divider,
                    output_mhz=output,
                    dividers={
                        "IDIV_SEL": reference,
                        "FBDIV_SEL": multiple - 1,
                        "ODIV_SEL": divider,
                    },
                )


def instance(
    board: Board, settings: PllSettings, *, pin: Signal, clock: Signal, locked: Signal
) -> Instance:
    """The primitive, with its own feedback path."""
    return Instance(
        "rPLL",
        p_DEVICE=board.device.name,
        p_FCLKIN=f"{float(settings.input_mhz):g}",
        **{f"p_{name}": value for name, value in settings.dividers.items()},
        p_DYN_IDIV_SEL="false",
        p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false",
        p_CLKFB_SEL="internal",
        p_CLKOUT_BYPASS="false",
        i_CLKIN=pin,
        o_CLKOUT=clock,
        o_LOCK=locked,
        i_RESET=0,
        i_RESET_P=0,
        i_CLKFB=0,
        i_FBDSEL=Const(0, 6),
        i_IDSEL=Const(0, 6),
        i_ODSEL=Const(0, 6),
        i_PSDA=Const(0, 4),
        i_DUTYDA=Const(0, 4),
        i_FDLY=Const(0, 4),
    )
