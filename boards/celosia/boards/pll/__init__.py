"""PLLs: their settings computed, and their primitives."""

from amaranth.hdl import Instance, Signal

from celosia.boards.board import Board
from celosia.boards.pll import ecp5, gowin, ice40
from celosia.boards.pll.ice40 import doubled_instance as doubled_pll_instance
from celosia.boards.pll.settings import PllSettings
from celosia.hdl.family import Family

__all__ = ["PllSettings", "doubled_pll_instance", "pll_instance", "pll_settings"]

_SETTINGS = {
    Family.ECP5: ecp5.settings,
    Family.ICE40: ice40.settings,
    Family.GOWIN: gowin.settings,
}
_INSTANCES = {
    Family.ECP5: ecp5.instance,
    Family.ICE40: ice40.instance,
    Family.GOWIN: gowin.instance,
}


def pll_settings(board: Board, doubled: bool = False) -> PllSettings | None:
    """Settings of the PLL that makes the board's `frequency_mhz`; None where the oscillator has it.

    Those of a `doubled` one, which only boards with an iCE40 can have, make twice of it as well.

    Raises:
        CelosiaError: no setting comes within 1 % of it.
    """
    if doubled:
        return ice40.doubled_settings(board.clock.mhz, board.frequency_mhz)
    if board.frequency_mhz == board.clock.mhz:
        return None
    return _SETTINGS[board.family](board.clock.mhz, board.frequency_mhz, board.device.name)


def pll_instance(
    board: Board, settings: PllSettings, *, pin: Signal, clock: Signal, locked: Signal
) -> Instance:
    """The PLL's primitive, between the oscillator's pin and the clock that it makes."""
    return _INSTANCES[board.family](board, settings, pin=pin, clock=clock, locked=locked)
