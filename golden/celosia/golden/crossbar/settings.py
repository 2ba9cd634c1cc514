"""The controller's settings: what software may change, where, and what it is after reset.

Settings say how to program and to read; none of them moves a limit of `CrossbarConfig`. A setting
is written by sending its address and value into the controller; the new value holds from the next
command on. There are three tables: scalars (`Setting`), the ramps of pulses (`Ramp`, eight
`RampField` each) and the windows of levels (`WindowField`, four for each level).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

from celosia.golden.crossbar.commands import Scheme
from celosia.golden.crossbar.config import CODE_BITS, PULSE_BITS, VOLTAGE_BITS
from celosia.golden.errors import CelosiaError

ADDRESS_BITS = 10
"""Width of a setting's address."""
VALUE_BITS = 16
"""Width of a setting's value on its way in; upper bits that a setting doesn't have are lost."""
PULSE_COUNT_BITS = 12
"""Width of a cell's pulse counts."""
READ_SHIFT_MAXIMUM = 4
"""Up to 16 conversions make a read."""
AVERAGE_MAXIMUM = 6
"""Up to 64 conversions are averaged in a calibration."""
MAXIMUM_LEVELS = 16
"""Levels that the table of windows has room for."""


class Setting(IntEnum):
    """Scalar settings."""

    SCHEME = 0
    """`Scheme` of PROGRAM, SCRUB, BIST, and of FORM after forming."""
    READ_SHIFT = 1
    """A read is the sum of 2**READ_SHIFT conversions, compared with windows times as many."""
    CONFIRMS = 2
    """Reads that must confirm, in the read window, that a cell is inside its write window."""
    MAXIMUM_PULSES = 3
    """Pulses that a cell may take."""
    MAXIMUM_FLIPS = 4
    """Changes between SET and RESET that a cell may take."""
    END_PULSES = 5
    """Pulses that the end of a ramp is repeated for."""
    COARSE_DISTANCE = 6
    """COARSE_FINE: cells further than this many codes from their window take the coarse ramp."""
    FORMED_CODE = 7
    """FORM: code from which on a cell is formed."""
    READ_SETTLE = 8
    """Cycles from the read bias to the first conversion."""
    WRITE_SETTLE = 9
    """Cycles from the bias of unselected lines to the pulse, and from its end to their release."""
    BIASING = 10
    """`Biasing` of unselected lines in a write."""
    CALIBRATION_PARTS = 11
    """CALIBRATE drives every 2**CALIBRATION_PARTS-th row at once; as many masks as rows at most."""
    CALIBRATION_AVERAGE = 12
    """CALIBRATE drives each mask 2**CALIBRATION_AVERAGE times."""
    LEAK = 13
    """What a cell of level 0 conducts, in 1/256 of a level step; CALIBRATE expects it."""


class Ramp(IntEnum):
    """Ramps of pulses; the word line is the gate of a cell, the line its bit or source line."""

    FORM = 0
    """Bit line and word line until a cell is formed."""
    SET = 1
    """STEP, or far from the window in COARSE_FINE: raises the conductance."""
    RESET = 2
    """The same with the source line: lowers it."""
    SET_FINE = 3
    """Near the window in COARSE_FINE."""
    RESET_FINE = 4
    """The same, lowers it."""


class RampField(IntEnum):
    """What a ramp consists of. A value that would step past its stop stays where it is."""

    WORD_LINE_START = 0
    """Word-line code of the first pulse."""
    WORD_LINE_STOP = 1
    """Highest word-line code."""
    WORD_LINE_STEP = 2
    """Codes that it rises by; 0: it never does."""
    LINE_START = 3
    """Line code of the first pulse."""
    LINE_STOP = 4
    """Highest line code."""
    LINE_STEP = 5
    """Codes that it rises by; 0: it never does."""
    WIDTH = 6
    """Width of every pulse."""
    LINE_FIRST = 7
    """1: the line rises at each pulse, the word line when the line is at its stop (and the line
    starts again); 0: the other way round."""


class WindowField(IntEnum):
    """The windows of a level, in ADC codes, both ends inside."""

    READ_LOW = 0
    """Lowest code at which a confirming read, or SCRUB, is content."""
    READ_HIGH = 1
    """Highest one."""
    WRITE_LOW = 2
    """Lowest code at which PROGRAM stops."""
    WRITE_HIGH = 3
    """Highest one."""


RAMP_BASE = 0x40
"""Address of field f of ramp r: RAMP_BASE + r * 8 + f."""
WINDOW_BASE = 0x80
"""Address of field f of level l: WINDOW_BASE + l * 4 + f."""

SCALARS: dict[Setting, tuple[int, int]] = {
    Setting.SCHEME: (1, Scheme.STEP),
    Setting.READ_SHIFT: (3, 0),
    Setting.CONFIRMS: (4, 1),
    Setting.MAXIMUM_PULSES: (PULSE_COUNT_BITS, 500),
    Setting.MAXIMUM_FLIPS: (8, 50),
    Setting.END_PULSES: (8, 10),
    Setting.COARSE_DISTANCE: (CODE_BITS, 16),
    Setting.FORMED_CODE: (CODE_BITS, 128),
    Setting.READ_SETTLE: (8, 2),
    Setting.WRITE_SETTLE: (8, 2),
    Setting.BIASING: (2, 0),
    Setting.CALIBRATION_PARTS: (4, 2),
    Setting.CALIBRATION_AVERAGE: (3, 3),
    Setting.LEAK: (8, 0),
}
"""Width and value after reset of each."""

RAMP_WIDTHS: dict[RampField, int] = {
    item: {RampField.WIDTH: PULSE_BITS, RampField.LINE_FIRST: 1}.get(item, VOLTAGE_BITS)
    for item in RampField
}
"""Width of each field of a ramp. Ramps are zero at first: no pulse before they are set. Reset
leaves them, and the windows, as they are."""


@dataclass(frozen=True, kw_only=True)
class RampSettings:
    """One ramp; the fields are those of `RampField`."""

    word_line_start: int = 0
    word_line_stop: int = 0
    word_line_step: int = 0
    line_start: int = 0
    line_stop: int = 0
    line_step: int = 0
    width: int = 0
    line_first: bool = False

    def values(self) -> Iterator[tuple[RampField, int]]:
        """The fields in the order of their addresses."""
        for item in RampField:
            yield item, int(getattr(self, item.name.lower()))


@dataclass(frozen=True, kw_only=True)
class LevelWindow:
    """The windows of one level; the fields are those of `WindowField`."""

    read_low: int = 0
    read_high: int = 0
    write_low: int = 0
    write_high: int = 0

    def values(self) -> Iterator[tuple[WindowField, int]]:
        """The fields in the order of their addresses."""
        for item in WindowField:
            yield item, getattr(self, item.name.lower())


def _scalars_after_reset() -> dict[Setting, int]:
    return {setting: reset for setting, (_, reset) in SCALARS.items()}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole set of settings.

    Attributes:
        scalars: values of `Setting`; those left out are as after reset.
        ramps: the ramps; those left out give no pulse.
        windows: one for each level, lowest first, at most `MAXIMUM_LEVELS`.

    Raises:
        CelosiaError: a value doesn't fit its setting.
    """

    scalars: Mapping[Setting, int] = field(default_factory=dict)
    ramps: Mapping[Ramp, RampSettings] = field(default_factory=dict)
    windows: tuple[LevelWindow, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scalars", {**_scalars_after_reset(), **self.scalars})
        object.__setattr__(self, "ramps", {r: self.ramps.get(r, RampSettings()) for r in Ramp})
        if len(self.windows) > MAXIMUM_LEVELS:
            raise CelosiaError(
                f"windows must be at most {MAXIMUM_LEVELS}, not {len(self.windows)!r}"
            )
        for setting, value in self.scalars.items():
            _check(setting.name.lower(), value, (1 << SCALARS[setting][0]) - 1)
        _check("read_shift", self.scalars[Setting.READ_SHIFT], READ_SHIFT_MAXIMUM)
        average = self.scalars[Setting.CALIBRATION_AVERAGE]
        _check("calibration_average", average, AVERAGE_MAXIMUM)
        for ramp, values in self.ramps.items():
            for entry in fields(values):
                width = RAMP_WIDTHS[RampField[entry.name.upper()]]
                name = f"{entry.name} of ramp {ramp.name.lower()}"
                _check(name, getattr(values, entry.name), (1 << width) - 1)
        for level, window in enumerate(self.windows):
            for entry in fields(window):
                name = f"{entry.name} of level {level}"
                _check(name, getattr(window, entry.name), (1 << CODE_BITS) - 1)

    def writes(self) -> Iterator[tuple[int, int]]:
        """Address and value of everything, as they are sent to the controller."""
        for setting, value in self.scalars.items():
            yield setting, value
        for ramp, values in self.ramps.items():
            for item, value in values.values():
                yield RAMP_BASE + ramp * len(RampField) + item, value
        for level, window in enumerate(self.windows):
            for bound, value in window.values():
                yield WINDOW_BASE + level * len(WindowField) + bound, value


def settings_from(values: Mapping[int, int]) -> Settings:
    """The settings of values by address, as they are sent: upper bits are lost, addresses that
    aren't there mean nothing, and what isn't given is as after reset.

    Raises:
        CelosiaError: a value doesn't fit its setting.
    """

    def value(address: int, width: int) -> int:
        return values.get(address, 0) & ((1 << width) - 1)

    ramps: dict[Ramp, RampSettings] = {}
    for ramp in Ramp:
        fields_of_ramp: dict[str, Any] = {
            item.name.lower(): value(RAMP_BASE + ramp * len(RampField) + item, width)
            for item, width in RAMP_WIDTHS.items()
        }
        ramps[ramp] = RampSettings(**fields_of_ramp)
    windows = tuple(
        LevelWindow(
            **{
                bound.name.lower(): value(WINDOW_BASE + level * len(WindowField) + bound, CODE_BITS)
                for bound in WindowField
            }
        )
        for level in range(MAXIMUM_LEVELS)
    )
    scalars = {s: value(s, width) for s, (width, _) in SCALARS.items() if s in values}
    return Settings(scalars=scalars, ramps=ramps, windows=windows)


def _check(name: str, value: object, highest: int) -> None:
    if not isinstance(value, int) or not 0 <= value <= highest:
        raise CelosiaError(f"{name} must be an integer from 0 to {highest}, not {value!r}")
