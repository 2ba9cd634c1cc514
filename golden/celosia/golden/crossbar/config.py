"""The crossbar's configuration: one frozen value that sizes controller, emulator and models."""

from dataclasses import dataclass
from enum import StrEnum

from celosia.golden.crossbar.emulation import CONDUCTANCE_BITS, IDEAL, EmulatorConfig
from celosia.golden.errors import CelosiaError

VOLTS_PER_CODE = 0.005
"""Volts of one DAC code: ten bits reach 5.115 V, above all published forming voltages, and the
finest published step of 5 mV is one code."""
VOLTAGE_BITS = 10
"""Width of a DAC code."""
PULSE_BITS = 8
"""Width of a pulse width, in units of the front end."""
CODE_BITS = 12
"""Width of an ADC code on the front-end port; converters may have fewer bits."""
MAGNITUDE_BITS = 8
"""Bits of the largest weight magnitude, 128."""
INPUT_BITS = 8
"""Bits of an input, driven one after the other."""

UNDRIVEN = -128
"""Input of rows that nothing is driven into: as x + 128 it is zero."""
MAXIMUM_TILES = 1024
"""Tiles that an instruction can name."""


class WeightMapping(StrEnum):
    """How columns stand for weights with a sign (`celosia.golden.crossbar.mapping`)."""

    DIFFERENTIAL = "differential"
    """Sign and magnitude: a positive and a negative column for each slice."""
    OFFSET = "offset"
    """Weight + 128, one column for each slice; one reference for all outputs holds 128."""

    @classmethod
    def named(cls, name: str) -> "WeightMapping":
        """The mapping of a name.

        Raises:
            CelosiaError: there is none.
        """
        if name not in list(cls):
            raise CelosiaError(f"mapping must be {' or '.join(cls)}, not {name!r}")
        return cls(name)


_LIMITS = {
    "tiles": (1, MAXIMUM_TILES),
    "rows": (4, 256),
    "outputs": (1, 64),
    "spares": (0, 16),
    "cell_bits": (1, 4),
    "adc_bits": (4, CODE_BITS),
    "adcs": (1, 64),
    "max_word_line": (0, 2**VOLTAGE_BITS - 1),
    "max_line": (0, 2**VOLTAGE_BITS - 1),
    "max_width": (1, 2**PULSE_BITS - 1),
    "unit_cycles": (1, 1024),
    "break_cycles": (1, 255),
}


@dataclass(frozen=True, kw_only=True)
class CrossbarConfig:
    """Sizes and hard limits of a bank of equal tiles.

    Attributes:
        tiles: tiles in the bank.
        rows: rows of a tile, one for each input.
        outputs: int8 weights in a row, and int32 sums of a product.
        spares: spare outputs behind them (each with its columns), which REPAIR puts in the
            place of defective ones.
        cell_bits: bits of a cell; a weight takes 8 / cell_bits slices.
        mapping: how its columns stand for a weight: two for each slice, or one.
        adc_bits: bits of a converter.
        adcs: converters of a tile; each CONVERT gives the codes of this many columns. Divides the
            number of columns.
        max_word_line, max_line: highest DAC codes that ever reach the array: word line (gate), and
            bit or source line. No command or setting reaches past them.
        max_width: longest pulse, in units of the front end.
        unit_cycles: clock cycles of such a unit; a fact of clock and front end and no setting, so
            that a pulse's longest time is a constant.
        break_cycles: cycles with all write drivers off between two polarities or selections.
        emulator: what cells and converters do where no others are there.

    Raises:
        CelosiaError: a value is of the wrong type, out of range, or doesn't fit the others.
    """

    tiles: int = 1
    rows: int = 64
    outputs: int = 8
    spares: int = 1
    cell_bits: int = 4
    mapping: WeightMapping = WeightMapping.DIFFERENTIAL
    adc_bits: int = 8
    adcs: int = 4
    max_word_line: int = 700
    max_line: int = 800
    max_width: int = 255
    unit_cycles: int = 1
    break_cycles: int = 2
    emulator: EmulatorConfig = IDEAL

    def __post_init__(self) -> None:
        for key, (low, high) in _LIMITS.items():
            value = getattr(self, key)
            if type(value) is not int or not low <= value <= high:
                raise CelosiaError(f"{key} must be an integer from {low} to {high}, not {value!r}")
        if not isinstance(self.emulator, EmulatorConfig):
            raise CelosiaError(f"emulator must be a table of what it does, not {self.emulator!r}")
        # It may come from a file.
        object.__setattr__(self, "mapping", WeightMapping.named(self.mapping))
        if self.rows & (self.rows - 1):
            raise CelosiaError(f"rows must be a power of two, not {self.rows}")
        if MAGNITUDE_BITS % self.cell_bits:
            raise CelosiaError(
                f"cell_bits must divide the {MAGNITUDE_BITS} bits of a weight, "
                f"not be {self.cell_bits}"
            )
        if self.columns % self.adcs:
            raise CelosiaError(
                f"adcs must divide the {self.columns} columns of a tile, not be {self.adcs}"
            )

    @property
    def slices(self) -> int:
        """Slices of a weight's magnitude, or of a weight + 128."""
        return MAGNITUDE_BITS // self.cell_bits

    @property
    def levels(self) -> int:
        """Levels of a cell."""
        return 1 << self.cell_bits

    @property
    def level_step(self) -> int:
        """Conductance of one level in the emulator."""
        return 1 << (CONDUCTANCE_BITS - self.cell_bits)

    @property
    def top(self) -> int:
        """Conductance of the highest level in the emulator."""
        return (self.levels - 1) * self.level_step

    @property
    def output_columns(self) -> int:
        """Physical columns of one output: two for each slice if mapped differentially, or one."""
        return self.slices * (1 if self.mapping == WeightMapping.OFFSET else 2)

    @property
    def reference(self) -> int:
        """First physical column of the reference, behind all outputs; without one, of nothing."""
        return (self.outputs + self.spares) * self.output_columns

    @property
    def columns(self) -> int:
        """Physical columns of a tile, spares and reference included."""
        return self.reference + (self.slices if self.mapping == WeightMapping.OFFSET else 0)

    @property
    def groups(self) -> int:
        """CONVERTs that it takes to read every column."""
        return self.columns // self.adcs
