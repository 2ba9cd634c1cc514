"""Sweeps of what crossbars suffer from, each with the remedies that help against it.

A sweep changes one condition of a base device. Its curves are a network and what is done about the
condition; the first is the plain network with nothing done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.converters import Converters
from celosia.golden.crossbar.devices.curves import Curve, Shape
from celosia.golden.crossbar.devices.lifetime import Faults
from celosia.golden.crossbar.devices.load import load_device
from celosia.runtime.crossbar.accuracy import Conditions, Remedies

PLAIN, NOISE_AWARE = "plain", "noise-aware"
"""Networks: as trained, and trained with weights that are off."""

FAULTY = Converters(offset=3.0, offset_spread=1.0, gain_spread=0.02)
"""Converters whose errors calibration finds: codes of offset, and 2 % of gain (choice)."""
SPARES = 4
"""Spare outputs in the sweep of stuck cells: half as many as a tile of 8 has outputs (choice)."""
LEVEL_ERROR = 0.03
"""Programming error in the sweep of levels, as a share of the window (choice)."""


NOTHING_DONE = Remedies()


class Sweep(StrEnum):
    """What is varied."""

    PROGRAMMING_ERROR = "programming-error"
    READ_NOISE = "read-noise"
    LEVELS = "levels"
    ADC_BITS = "adc-bits"
    LINE_RESISTANCE = "line-resistance"
    STUCK_AT = "stuck-at"
    TIME = "time"
    DEVICES = "devices"


@dataclass(frozen=True)
class Line:
    """A curve: its name, the network, what is done, and what else is the matter."""

    name: str
    network: str = PLAIN
    remedies: Remedies = NOTHING_DONE
    change: Callable[[Conditions], Conditions] = lambda conditions: conditions


@dataclass(frozen=True)
class Plan:
    """A sweep: what its axis says, the values, and the conditions that a value makes of a base.

    `names` has the values' names where the axis has no numbers. In pictures values are `even`, the
    same distance from each other, or `logarithmic`, as their powers of ten.
    """

    axis: str
    values: tuple[float, ...]
    conditions: Callable[[Conditions, float], Conditions]
    lines: tuple[Line, ...]
    even: bool = False
    logarithmic: bool = False
    names: tuple[str, ...] = ()


_RAW = Line("as it is")
_AWARE = Line("noise-aware training", NOISE_AWARE)
_COLUMNS = Line("columns calibrated", remedies=Remedies(columns=True))
_BOTH = Line("both", NOISE_AWARE, Remedies(columns=True))
_DEVICES = ("ideal", "sonos", "pcm", "hfox-neurram")


def plans() -> Mapping[Sweep, Plan]:
    """Every sweep."""
    return {
        Sweep.PROGRAMMING_ERROR: Plan(
            "programming error, share of the conductance",
            (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
            lambda base, value: _with(base, programming_error=_proportional(value)),
            (_RAW, _COLUMNS, _AWARE, _BOTH),
        ),
        Sweep.READ_NOISE: Plan(
            "read noise, share of the conductance",
            (0.0, 0.1, 0.2, 0.4, 0.8),
            lambda base, value: _with(base, read_noise=_proportional(value), flicker=None),
            (_RAW, _AWARE),
        ),
        Sweep.LEVELS: Plan(
            f"levels of a cell, with a programming error of {LEVEL_ERROR:.0%} of the window",
            (2.0, 4.0, 16.0),
            _levels,
            (_RAW, _COLUMNS, _AWARE),
            even=True,
        ),
        Sweep.ADC_BITS: Plan(
            "bits of the converters",
            (4.0, 5.0, 6.0, 7.0, 8.0, 10.0),
            lambda base, value: replace(base, adc_bits=int(value)),
            (
                Line("range of any sum", remedies=Remedies(fitted_range=False)),
                Line("range of the sums that occur"),
                Line("converters off in offset and gain", change=_faulty),
                Line(
                    "the same, columns calibrated", remedies=Remedies(columns=True), change=_faulty
                ),
            ),
        ),
        Sweep.LINE_RESISTANCE: Plan(
            "resistance of a segment of a line, ohm",
            (0.0, 5.0, 10.0, 20.0, 50.0, 100.0),
            lambda base, value: replace(base, lines=Lines(row=value, column=value)),
            (_RAW, _COLUMNS, _AWARE),
            even=True,
        ),
        Sweep.STUCK_AT: Plan(
            "share of stuck cells, half of them low and half high",
            (0.0, 0.001, 0.002, 0.005, 0.01, 0.05),
            lambda base, value: _with(
                base, faults=Faults(stuck_low=value / 2, stuck_high=value / 2)
            ),
            (
                _RAW,
                Line(
                    f"{SPARES} spare outputs of each tile",
                    remedies=Remedies(spares=True),
                    change=lambda conditions: replace(conditions, spares=SPARES),
                ),
                Line("remapped", remedies=Remedies(remapped=True)),
                _AWARE,
                Line("remapped, noise-aware", NOISE_AWARE, Remedies(remapped=True)),
            ),
            even=True,
        ),
        Sweep.TIME: Plan(
            "seconds after programming",
            (1.0, 1e2, 1e4, 1e6, 1e8),
            lambda base, value: replace(base, seconds=value),
            (
                _RAW,
                Line("scale follows drift", remedies=Remedies(drift=True)),
                Line("the same, columns calibrated", remedies=Remedies(columns=True, drift=True)),
                Line("the same, noise-aware", NOISE_AWARE, Remedies(columns=True, drift=True)),
            ),
            logarithmic=True,
        ),
        Sweep.DEVICES: Plan(
            "device, one second after programming",
            tuple(float(index) for index in range(len(_DEVICES))),
            lambda base, value: replace(base, device=load_device(_DEVICES[int(value)])),
            (
                _RAW,
                _COLUMNS,
                _AWARE,
                _BOTH,
                Line("both, remapped", NOISE_AWARE, Remedies(columns=True, remapped=True)),
            ),
            names=_DEVICES,
        ),
    }


DEFAULT_SWEEPS = tuple(sweep for sweep in Sweep if sweep is not Sweep.DEVICES)
DEFAULT_PRESETS = {Sweep.TIME: "pcm"}
"""Devices of sweeps of which the default device would show nothing."""


def draws(conditions: Conditions) -> bool:
    """Whether anything is drawn under these conditions, so that seeds differ."""
    device = conditions.device
    curves = [device.programming_error, device.read_noise]
    curves += [entry.sigma for entry in device.relaxation]
    return (
        any(any(curve.numbers) for curve in curves)
        or any(spread for spread in vars(device.faults).values())
        or device.flicker is not None
        or device.drift is not None
        or device.forming.failing > 0
        or (conditions.converters or device.converters) != Converters()
    )


def _with(base: Conditions, **changes: object) -> Conditions:
    return replace(base, device=replace(base.device, **changes))  # type: ignore[arg-type]


def _proportional(share: float) -> Curve:
    return Curve(Shape.POLYNOMIAL, (0.0, share))


def _levels(base: Conditions, value: float) -> Conditions:
    window = base.device.window
    error = LEVEL_ERROR * (window.high_us - window.low_us)
    levelled = _with(base, programming_error=Curve(Shape.POLYNOMIAL, (error,)))
    return replace(levelled, cell_bits=int(value).bit_length() - 1)


def _faulty(conditions: Conditions) -> Conditions:
    return replace(conditions, converters=FAULTY)
