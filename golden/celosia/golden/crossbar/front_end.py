"""The analog front end: the one port between the controller and whatever stands for the array.

Behind it stand the emulator (`celosia.hdl.crossbar`), a numpy model driven from cocotb, or pins.
Levels and strobes are all that a real front end needs; `sequence` is for models only.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from celosia.golden.crossbar.config import CODE_BITS, VOLTAGE_BITS, CrossbarConfig

if TYPE_CHECKING:  # gateware takes the port from here, and needs no numpy
    import numpy as np
    from numpy.typing import NDArray

GAIN_BITS = 16
"""Width of a converter's gain code."""
GAIN_ONE = 1 << 12
"""Gain code at which one level step of conductance on one driven row is one ADC code."""
SEQUENCE_BITS = 32
"""Number of a product (upper bits), its input bit (3 bits) and its part (2 bits)."""


class BiasMode(IntEnum):
    """What the lines of a tile are biased for; a level on the port."""

    SAFE = 0
    """Every line at ground, every switch open: after reset and abort, and between accesses."""
    READ = 1
    """Rows of `rows` driven with the read voltage, columns at virtual ground."""
    SET = 2
    """Bit line of the column at `line`, word line of the row at `word_line`; source line ground."""
    RESET = 3
    """The opposite polarity: source line at `line`, bit line ground."""
    FORM = 4
    """As SET, with forming voltages."""


WRITE_MODES = (BiasMode.SET, BiasMode.RESET, BiasMode.FORM)
"""In which a pulse means something."""


class Biasing(IntEnum):
    """How unselected lines are held in a write."""

    TRANSISTOR = 0
    """1T1R: unselected word lines are off."""
    HALF = 1
    """Passive, V/2: all unselected lines at half of the voltage."""
    THIRD = 2
    """Passive, V/3: unselected rows at two thirds, unselected columns at one third."""


class ReadRange(IntEnum):
    """What a conversion is scaled for."""

    CELL = 0
    """One cell: full scale is the device's largest conductance."""
    PRODUCT = 1
    """A product: code = conductance sum in level steps x gain / GAIN_ONE."""


class Part(IntEnum):
    """Which of the rows an INTEGRATE drives; the last bits of `sequence`."""

    WHOLE = 0
    """All whose bit is set."""
    LOWER = 1
    """Those of the lower half."""
    UPPER = 2
    """Those of the upper half."""


PORT: dict[str, tuple[str, str]] = {
    "tile": ("out", "tile that is addressed"),
    "mode": ("out", "`BiasMode`, a level"),
    "biasing": ("out", "`Biasing` of unselected lines, a level"),
    "rows": ("out", "rows driven: a mask; exactly one in a write"),
    "column": ("out", "column that is written, or read in range CELL"),
    "word_line": ("out", "DAC code of the selected word line"),
    "line": ("out", "DAC code of the selected bit line (SET, FORM) or source line (RESET)"),
    "inhibit": ("out", "unselected lines are biased; before `pulse` and until after it"),
    "pulse": ("out", "the selected lines are driven; its length in cycles is the pulse width"),
    "integrate": ("out", "strobe: sample the currents of all columns, in mode READ"),
    "convert": ("out", "strobe: convert the held samples of a group of columns"),
    "group": ("out", "which group: columns group * adcs and on"),
    "range": ("out", "`ReadRange` of the conversion"),
    "gain": ("out", "gain code of a conversion in range PRODUCT"),
    "sequence": ("out", "number of a product, bit and part: models draw their noise from it"),
    "ready": ("in", "the next strobe or pulse may come; low while sampling, converting, settling"),
    "codes": ("in", "`adcs` codes, the group's first column lowest; valid after a convert"),
    "saturated": ("in", "a bit for each of them: the converter was at its end"),
}
"""Signals of the port, seen from the controller: direction and meaning."""


def port_widths(config: CrossbarConfig) -> dict[str, int]:
    """Bits of every signal of `PORT`; `codes` are `adcs` codes of `CODE_BITS` each."""
    return {
        "tile": _bits(config.tiles),
        "mode": _bits(len(BiasMode)),
        "biasing": _bits(len(Biasing)),
        "rows": config.rows,
        "column": _bits(config.columns),
        "word_line": VOLTAGE_BITS,
        "line": VOLTAGE_BITS,
        "inhibit": 1,
        "pulse": 1,
        "integrate": 1,
        "convert": 1,
        "group": _bits(config.groups),
        "range": _bits(len(ReadRange)),
        "gain": GAIN_BITS,
        "sequence": SEQUENCE_BITS,
        "ready": 1,
        "codes": config.adcs * CODE_BITS,
        "saturated": config.adcs,
    }


def _bits(count: int) -> int:
    """Bits of a number below `count`; at least one, since a port needs a wire."""
    return max(1, (count - 1).bit_length())


class CellAccess(Protocol):
    """Single cells behind the port: all that programming needs.

    Methods are vectorised, with the draws of each cell independent of the order. A model in which a
    pulse changes other cells as well has an attribute `interacting`, which is true.
    """

    def pulse(
        self,
        tile: int,
        rows: "NDArray[np.int64]",
        columns: "NDArray[np.int64]",
        mode: BiasMode,
        word_line: "NDArray[np.int64]",
        line: "NDArray[np.int64]",
        width: int,
    ) -> None:
        """One write pulse to each of the cells (rows [n], columns [n], no cell twice)."""
        ...

    def read(
        self, tile: int, rows: "NDArray[np.int64]", columns: "NDArray[np.int64]"
    ) -> "NDArray[np.int64]":
        """One conversion of each cell (any order, no cell twice) in range CELL: codes [n]."""
        ...


class FrontEnd(CellAccess, Protocol):
    """A model of tiles behind the port, as the golden controller uses it.

    Products are vectorised like cells, with the draws of each independent of the order.
    """

    def product(
        self,
        tile: int,
        driven: "NDArray[np.bool_]",
        gain: int,
        sequence: "NDArray[np.int64]",
    ) -> "tuple[NDArray[np.int64], NDArray[np.bool_]]":
        """INTEGRATE of each row mask (driven [n, rows]) and CONVERT of all columns.

        Returns codes [n, columns] and whether each was saturated.
        """
        ...
