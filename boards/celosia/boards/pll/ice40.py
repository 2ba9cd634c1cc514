"""The iCE40's SB_PLL40, with its simple feedback path: output = input / (r+1) * (f+1) / 2^q.

With two outputs (SB_PLL40_2F) that is the faster one, and the NPU's clock is half of it.

Limits: Lattice FPGA-DS-02008 (iCE40 UltraPlus family data sheet), sysCLOCK PLL timing. Dividers and
the loop filter's ranges: Lattice FPGA-TN-02052 (iCE40 sysCLOCK PLL design and usage guide).
"""

from collections.abc import Iterator
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal

from celosia.boards.board import Board
from celosia.boards.pll.settings import Limits, PllSettings, best, exact, limits, near, vco_range

LIMITS = limits((10, 133), (10, 133), (533, 1066), (16, 275))
DOUBLED_LIMITS = limits((10, 133), (10, 133), (533, 1066), (16, 137.5))
"""Where the output is half of another one."""

PADS = {"SG48": "35"}
"""The pin of each package that the PLL stands behind."""

_FILTER_BELOW_MHZ = (17, 26, 44, 66, 101)


def settings(input_mhz: float, output_mhz: float, device: str) -> PllSettings:
    """The best settings; raises CelosiaError where none is near."""
    return best(_candidates(input_mhz, output_mhz, LIMITS), LIMITS, input_mhz, output_mhz)


def doubled_settings(input_mhz: float, output_mhz: float) -> PllSettings:
    """As `settings`, with a second output of twice the frequency."""
    candidates = _candidates(input_mhz, output_mhz, DOUBLED_LIMITS, doubled=True)
    return best(candidates, DOUBLED_LIMITS, input_mhz, output_mhz)


def _candidates(
    input_mhz: float, output_mhz: float, allowed: Limits, doubled: bool = False
) -> Iterator[PllSettings]:
    source, wanted = exact(input_mhz), exact(output_mhz)
    for r in range(16):
        detector = source / (r + 1)
        for q in range(1, 7):
            divider = 2 ** (q + doubled)
            slowest, fastest = vco_range(allowed, divider)
            most = min(fastest / detector, Fraction(128))
            for multiple in near(wanted * divider / detector, slowest / detector, most):
                yield PllSettings(
                    input_mhz=source,
                    detector_mhz=detector,
                    vco_mhz=detector * multiple,
                    output_mhz=detector * multiple / divider,
                    dividers={
                        "DIVR": r,
                        "DIVF": multiple - 1,
                        "DIVQ": q,
                        "FILTER_RANGE": filter_range(detector),
                    },
                    doubled=doubled,
                )


def filter_range(detector_mhz: Fraction) -> int:
    """Setting of the loop filter for a frequency at the phase detector."""
    return 1 + sum(detector_mhz >= bound for bound in _FILTER_BELOW_MHZ)


def instance(
    board: Board, settings: PllSettings, *, pin: Signal, clock: Signal, locked: Signal
) -> Instance:
    """The primitive."""
    return _primitive(board, settings, "SB_PLL40", pin, locked, o_PLLOUTGLOBAL=clock)


def doubled_instance(
    board: Board,
    settings: PllSettings,
    *,
    pin: Signal,
    clock: Signal,
    double: Signal,
    locked: Signal,
) -> Instance:
    """The primitive of doubled settings; `double` is the clock of twice the frequency.

    Neither output is shifted against the oscillator (VCO).
    """
    return _primitive(
        board,
        settings,
        "SB_PLL40_2F",
        pin,
        locked,
        p_PLLOUT_SELECT_PORTA="GENCLK",
        p_PLLOUT_SELECT_PORTB="GENCLK_HALF",
        o_PLLOUTGLOBALA=double,
        o_PLLOUTGLOBALB=clock,
    )


def _primitive(
    board: Board, settings: PllSettings, name: str, pin: Signal, locked: Signal, **outputs: object
) -> Instance:
    """From the PLL's own pin where the oscillator is on it, else from any other."""
    own = PADS.get(board.package) == board.clock.pin.pin
    widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
    return Instance(
        f"{name}_PAD" if own else f"{name}_CORE",
        p_FEEDBACK_PATH="SIMPLE",
        **{f"p_{name}": Const(settings.dividers[name], width) for name, width in widths.items()},
        **{"i_PACKAGEPIN" if own else "i_REFERENCECLK": pin},
        **outputs,
        o_LOCK=locked,
        i_RESETB=1,
        i_BYPASS=0,
    )
