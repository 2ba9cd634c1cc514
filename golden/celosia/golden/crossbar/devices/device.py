"""A device: its law, its groups of numbers, and the windows of its levels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from celosia.golden.crossbar.array.lines import NO_RESISTANCE, Lines
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS, Converters
from celosia.golden.crossbar.devices.checks import check_above, check_numbers
from celosia.golden.crossbar.devices.curves import NOTHING, Curve
from celosia.golden.crossbar.devices.groups import (
    Direct,
    Forming,
    Levels,
    PulseWidth,
    ResetPulse,
    SetPulse,
    Window,
)
from celosia.golden.crossbar.devices.lifetime import Drift, Endurance, Faults, Flicker, Relaxation
from celosia.golden.crossbar.devices.ramps import Ramp, Recipe
from celosia.golden.crossbar.front_end import Biasing
from celosia.golden.errors import CelosiaError


class Law(StrEnum):
    """How a write pulse moves a cell."""

    FILAMENT = "filament"
    """SET up to a limit that gate and line voltages give, RESET down to one that the line gives."""
    DIRECT = "direct"
    """A pulse lands where its voltage says, with the programming error of the state."""


class Conduction(StrEnum):
    """Current of a cell against its voltage."""

    OHMIC = "ohmic"
    """I = G V."""
    SINH = "sinh"
    """I = G sinh(a V) / a, a in 1/V."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device; groups that are None are not modelled.

    `lines` and `converters` are those that its cells are used with. `biasing` says what kind of
    array they make: with transistors, or passive. Where `floating_reads`, the other lines of a
    passive array float while one cell is read.

    Raises:
        CelosiaError: a value can't be, or a group is missing that the law needs.
    """

    name: str
    title: str
    law: Law
    window: Window
    forming: Forming
    form: Ramp
    step: Recipe
    coarse_fine: Recipe | None = None
    set: SetPulse | None = None
    reset: ResetPulse | None = None
    direct: Direct | None = None
    pulse_width: PulseWidth | None = None
    levels: Mapping[int, Levels] = field(default_factory=dict)
    programming_error: Curve = NOTHING
    read_noise: Curve = NOTHING
    flicker: Flicker | None = None
    relaxation: tuple[Relaxation, ...] = ()
    drift: Drift | None = None
    faults: Faults = field(default_factory=Faults)
    endurance: Endurance | None = None
    conduction: Conduction = Conduction.OHMIC
    sinh_per_v: float = 0.0
    lines: Lines = NO_RESISTANCE
    converters: Converters = IDEAL_CONVERTERS
    biasing: Biasing = Biasing.TRANSISTOR
    floating_reads: bool = False

    def __post_init__(self) -> None:
        for what in ("name", "title"):
            if not isinstance(getattr(self, what), str) or not getattr(self, what):
                raise CelosiaError(
                    f"{what} must be a non-empty string, not {getattr(self, what)!r}"
                )
        check_numbers(self, "device")
        needed = ("set", "reset") if self.law == Law.FILAMENT else ("direct",)
        for group in needed:
            if getattr(self, group) is None:
                raise CelosiaError(f"a device of law {self.law} must have a table {group!r}")
        for bits, levels in self.levels.items():
            if len(levels.low_us) != 1 << bits:
                raise CelosiaError(
                    f"levels of {bits} bits must have {1 << bits} windows, not {len(levels.low_us)}"
                )
        times = [entry.seconds for entry in self.relaxation]
        if any(a >= b for a, b in pairwise(times)):
            raise CelosiaError(f"relaxation must be given in the order of its seconds, not {times}")
        if not isinstance(self.floating_reads, bool):
            raise CelosiaError(f"floating_reads must be true or false, not {self.floating_reads!r}")
        if self.floating_reads and self.biasing == Biasing.TRANSISTOR:
            raise CelosiaError(
                "floating_reads must be false with biasing 'transistor': only the lines of passive "
                "arrays let current sneak"
            )
        if self.conduction == Conduction.SINH:
            check_above("sinh_per_v", self.sinh_per_v, 0.0)

    def level_windows(self, bits: int) -> Levels:
        """The published windows for `bits` bits a cell, or equally spaced ones.

        Raises:
            CelosiaError: bits is no integer from 1 to 4, or levels would overlap.
        """
        if type(bits) is not int or not 1 <= bits <= 4:
            raise CelosiaError(f"bits must be an integer from 1 to 4, not {bits!r}")
        if bits in self.levels:
            return self.levels[bits]
        last = (1 << bits) - 1
        step = (self.window.high_us - self.window.low_us) / last
        half = self.window.tolerance_us
        if 2 * half >= step:
            raise CelosiaError(
                f"{bits} bits must leave levels of {self.name} further apart than "
                f"{2 * half:g} uS, not {step:.3g} uS"
            )
        centres = [self.window.low_us + level * step for level in range(last + 1)]
        return Levels(
            low_us=tuple(max(centre - half, 0.0) for centre in centres),
            high_us=tuple(centre + half for centre in centres),
        )
