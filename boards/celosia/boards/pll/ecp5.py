"""The ECP5's EHXPLLL.

CLKOP, divided by n, is fed back; CLKOS, divided by m, is the clock: output = input / r * n / m.
With an output of its own for the feedback, n and m are free of each other.

Limits: Lattice FPGA-DS-02012 (ECP5 and ECP5-5G family data sheet), sysCLOCK PLL timing. Dividers:
Lattice FPGA-TN-02200 (ECP5 and ECP5-5G sysCLOCK PLL/DLL design and usage guide).
"""

from collections.abc import Iterator
from fractions import Fraction

from amaranth.hdl import Instance, Signal

from celosia.boards.board import Board
from celosia.boards.pll.settings import PllSettings, best, exact, limits, near

LIMITS = limits((8, 400), (10, 400), (400, 800), (3.125, 400))
DIVIDERS = range(1, 129)


def settings(input_mhz: float, output_mhz: float, device: str) -> PllSettings:
    """The best settings; raises CelosiaError where none is near."""
    return best(_candidates(input_mhz, output_mhz), LIMITS, input_mhz, output_mhz)


def _candidates(input_mhz: float, output_mhz: float) -> Iterator[PllSettings]:
    source, wanted = exact(input_mhz), exact(output_mhz)
    slowest, fastest = LIMITS.vco_mhz
    least, most = LIMITS.output_mhz
    for reference in DIVIDERS:
        detector = source / reference
        if detector < LIMITS.detector_mhz[0]:
            return
        for feedback in DIVIDERS:
            vco = detector * feedback
            if not slowest <= vco <= fastest:
                continue
            for output in near(vco / wanted, vco / most, min(vco / least, Fraction(128))):
                yield PllSettings(
                    input_mhz=source,
                    detector_mhz=detector,
                    vco_mhz=vco,
                    output_mhz=vco / output,
                    dividers={"CLKI_DIV": reference, "CLKOP_DIV": feedback, "CLKOS_DIV": output},
                )


def instance(
    board: Board, settings: PllSettings, *, pin: Signal, clock: Signal, locked: Signal
) -> Instance:
    """The primitive. Its analogue settings are those of prjtrellis' `ecppll`."""
    feedback = Signal(name="pll_feedback")
    dividers = settings.dividers
    return Instance(
        "EHXPLLL",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA",
        p_OUTDIVIDER_MUXB="DIVB",
        p_FEEDBK_PATH="CLKOP",
        p_CLKFB_DIV=1,
        p_CLKI_DIV=dividers["CLKI_DIV"],
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_DIV=dividers["CLKOP_DIV"],
        p_CLKOP_CPHASE=dividers["CLKOP_DIV"] - 1,
        p_CLKOP_FPHASE=0,
        p_CLKOS_ENABLE="ENABLED",
        p_CLKOS_DIV=dividers["CLKOS_DIV"],
        p_CLKOS_CPHASE=dividers["CLKOS_DIV"] - 1,
        p_CLKOS_FPHASE=0,
        i_CLKI=pin,
        i_CLKFB=feedback,
        o_CLKOP=feedback,
        o_CLKOS=clock,
        o_LOCK=locked,
        i_RST=0,
        i_STDBY=0,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=0,
        i_PHASESTEP=0,
        i_PHASELOADREG=0,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        i_ENCLKOS=0,
    )
