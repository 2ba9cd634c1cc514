"""The iCE40's SB_PLL40, with its simple feedback path: output = input / (r+1) * (f+1) / 2^q.

Limits: Lattice FPGA-DS-02008 (iCE40 UltraPlus family data sheet), sysCLOCK PLL timing. Dividers and
the loop filter's ranges: Lattice FPGA-TN-02052 (iCE40 sysCLOCK PLL design and usage guide).
"""

from collections.abc import Iterator
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal

from celosia.boards.board import Board
from celosia.boards.pll.settings import PllSettings, best, exact, limits, near, vco_range

LIMITS = limits((10, 133), (10, 133), (533, 1066), (16, 275))

PADS = {"SG48": "35"}
"""The pin of each package that the PLL stands behind."""

_FILTER_BELOW_MHZ = (17, 26, 44, 66, 101)


def settings(input_mhz: float, output_mhz: float, device: str) -> PllSettings:
    """The best settings; raises CelosiaError where none is near."""
    return best(_candidates(input_mhz, output_mhz), LIMITS, input_mhz, output_mhz)


def _candidates(input_mhz: float, output_mhz: float) -> Iterator[PllSettings]:
    source, wanted = exact(input_mhz), exact(output_mhz)
    for r in range(16):
        detector = source / (r + 1)
        for q in range(1, 7):
            slowest, fastest = vco_range(LIMITS, 2**q)
            most = min(fastest / detector, Fraction(128))
            for multiple in near(wanted * 2**q / detector, slowest / detector, most):
                yield PllSettings(
                    input_mhz=source,
                    detector_mhz=detector,
                    vco_mhz=detector * multiple,
                    output_mhz=detector * multiple / 2**q,
                    dividers={
                        "DIVR": r,
                        "DIVF": multiple - 1,
                        "DIVQ": q,
                        "FILTER_RANGE": filter_range(detector),
                    },
                )


def filter_range(detector_mhz: Fraction) -> int:
    """Setting of the loop filter for a frequency at the phase detector."""
    return 1 + sum(detector_mhz >= bound for bound in _FILTER_BELOW_MHZ)


def instance(
    board: Board, settings: PllSettings, *, pin: Signal, clock: Signal, locked: Signal
) -> Instance:
    """The primitive: from the PLL's own pin where the oscillator is on it, else from any other."""
    own = PADS.get(board.package) == board.clock.pin.pin
    widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
    return Instance(
        "SB_PLL40_PAD" if own else "SB_PLL40_CORE",
        p_FEEDBACK_PATH="SIMPLE",
        **{f"p_{name}": Const(settings.dividers[name], width) for name, width in widths.items()},
        **{"i_PACKAGEPIN" if own else "i_REFERENCECLK": pin},
        o_PLLOUTGLOBAL=clock,
        o_LOCK=locked,
        i_RESETB=1,
        i_BYPASS=0,
    )
