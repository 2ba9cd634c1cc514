"""From a device to the integers of the emulator that behave most like it.

The emulator's pulses are straight lines, a device's mostly aren't: how cells answer a ramp is
measured on the model, and a line laid along it from where it enters the window. Its conductances
are the device's own, in steps of 2^-n of a level, so that a cell of the lowest level conducts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import VOLTAGE_BITS, VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS
from celosia.golden.crossbar.devices.cells import DeviceCells, Polarity
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.load import PRESETS, load_device
from celosia.golden.crossbar.devices.ramps import Ramp
from celosia.golden.crossbar.emulation import (
    CONDUCTANCE_BITS,
    DRAW_SIGMA,
    HIGHEST,
    SLOPE_FRACTION,
    SPREAD_FRACTION,
    EmulatorConfig,
)
from celosia.golden.crossbar.front_end import Biasing
from celosia.golden.crossbar.recipe import limits_for, scale_of
from celosia.golden.errors import CelosiaError
from celosia.golden.tables import fill

_CELLS = 1024
_REPEATS = 4
_SEED = 1
_STRIDE = 20
"""Codes between points of a line that its ramp doesn't step."""
_READ_AGE_S = 1.0
"""Age of the cells whose read noise is taken, where it grows with age (choice)."""
_FINEST = 8
_SPREAD_SIGMA = DRAW_SIGMA / (1 << SPREAD_FRACTION)
"""Standard deviation of a spread of 1."""

FloatArray = NDArray[np.float64]


def crossbar_from_mapping(table: Mapping[str, Any], folder: Path) -> CrossbarConfig:
    """The crossbar that a table with a table `emulator` describes.

    A `device` there gives what the table doesn't: the emulator's numbers, and the limits that let
    its own pulses through. Its file is looked for in `folder`.

    Raises:
        CelosiaError: an unknown key, a value that can't be, or a device that can't be emulated.
    """
    sizes = dict(table)
    given = dict(sizes.pop("emulator"))
    name = given.get("device")
    alone = fill(EmulatorConfig, given, "crossbar.emulator", "")
    if name is None or set(HIGHEST) <= set(given):
        return CrossbarConfig(**sizes, emulator=alone)
    source = name if name in PRESETS else str(folder / name)
    device = load_device(source)
    bank = CrossbarConfig(**{**limits_for(device), **sizes})
    emulator = replace(emulator_for(device, bank), **{**given, "device": source})
    return replace(bank, emulator=emulator)


def emulator_for(device: Device, config: CrossbarConfig) -> EmulatorConfig:
    """The emulator's integers for cells of a device in tiles of these sizes.

    Cells are formed, and don't relax, drift or wear: the emulator has no time.

    Raises:
        CelosiaError: the device has what the emulator hasn't, or numbers that don't fit it.
    """
    if device.biasing != Biasing.TRANSISTOR:
        raise CelosiaError(
            f"device of the emulator must be an array with transistors, and {device.name} isn't"
        )
    if not device.lines.ideal or device.converters != IDEAL_CONVERTERS:
        raise CelosiaError(
            f"device of the emulator must have ideal lines and converters, and {device.name} hasn't"
        )
    unit_us = unit_of(device, config)
    if device.window.low_us / unit_us + config.top >= 1 << CONDUCTANCE_BITS:
        most = 100 * (config.level_step - 1) / config.top
        raise CelosiaError(
            f"low_us of the emulator's device must be at most {most:.3g} % of its window, "
            f"and {device.name} has {device.window.low_us:g} uS"
        )
    recipe = device.step
    # Which of both lines climbs; the emulator knows one at a time.
    by_line = recipe.set.gate_v[0] == recipe.set.gate_v[1]
    rising = _response(device, Polarity.SET, recipe.set, by_line, unit_us)
    falling = _response(device, Polarity.RESET, recipe.reset, True, unit_us)
    read, product, fraction = _noise(device, config, unit_us)
    try:
        return EmulatorConfig(
            device=device.name,
            set_on=rising.onset,
            set_slope=rising.slope(0),
            reset_on=falling.onset,
            reset_slope=falling.slope(config.top),
            form_line=round(device.forming.mean_v / VOLTS_PER_CODE),
            device_spread=_spread(rising.over_cells, "device_spread"),
            set_spread=_spread(rising.over_pulses, "set_spread"),
            reset_spread=_spread(
                float(np.hypot(falling.over_cells, falling.over_pulses)), "reset_spread"
            ),
            read_spread=read,
            product_spread=product,
            noise_fraction=fraction,
            stuck_low=round(device.faults.stuck_low * (1 << 16)),
            stuck_high=round(device.faults.stuck_high * (1 << 16)),
            cell_gain=round(unit_us * scale_of(device, config) * (1 << SLOPE_FRACTION)),
            set_by_line=int(by_line),
        )
    except CelosiaError as error:
        raise CelosiaError(f"{device.name} in the emulator: {error}") from error


def unit_of(device: Device, config: CrossbarConfig) -> float:
    """Conductance of 1 in the emulator, uS."""
    return (device.window.high_us - device.window.low_us) / config.top


@dataclass(frozen=True)
class _Response:
    """What pulses of a ramp do inside the window.

    `onset` is the last code that doesn't bring cells there; `reached` [n] what half of them reach
    at `codes` [n] behind it, in units, and `at_stop` at the ramp's end. `over_cells` and
    `over_pulses` are how far cells, and pulses on one cell, are from that.
    """

    onset: int
    codes: FloatArray
    reached: FloatArray
    at_stop: tuple[int, float]
    over_cells: float
    over_pulses: float

    def slope(self, start: int) -> int:
        """The slope (Q12) of the line from `start` at the onset that fits best, but no less than
        takes the ramp's end as far as it is."""
        behind, way = self.codes - self.onset, np.abs(self.reached - start)
        best = float((behind @ way) / (behind @ behind))
        stop, reached = self.at_stop
        if stop > self.onset:
            best = max(best, abs(reached - start) / (stop - self.onset))
        return round(best * (1 << SLOPE_FRACTION))


def _response(
    device: Device, polarity: Polarity, ramp: Ramp, by_line: bool, unit_us: float
) -> _Response:
    """Measure a ramp over all codes of one of its lines, the other at its end.

    Cells start each pulse where one step before brought half of them.
    """
    cells = DeviceCells(device, _CELLS, _SEED)
    cells.form()
    everyone = np.arange(_CELLS)
    step = round((ramp.line_v if by_line else ramp.gate_v)[2] / VOLTS_PER_CODE) or _STRIDE
    codes = range(0, 1 << VOLTAGE_BITS, step)
    window = device.window
    before = window.low_us if polarity == Polarity.SET else window.high_us
    stop = round((ramp.line_v if by_line else ramp.gate_v)[1] / VOLTS_PER_CODE)
    inside: list[int] = []
    reached: list[float] = []
    own: list[float] = []
    pulses: list[float] = []
    at_stop, onset = 0.0, 0
    for code in codes:
        moving = np.full(_CELLS, code * VOLTS_PER_CODE)
        gate_v = np.full(_CELLS, ramp.gate_v[1]) if by_line else moving
        line_v = moving if by_line else np.full(_CELLS, ramp.line_v[1])
        found = np.empty((_REPEATS, _CELLS))
        for turn in found:
            cells.programmed[:] = before
            cells.pulse(polarity, everyone, gate_v, line_v, ramp.width_s)
            turn[:] = cells.programmed
        before = float(np.median(found))
        if code <= stop:
            at_stop = min(max(before, window.low_us), window.high_us) / unit_us
        if not inside:
            onset = max(code - step, 0)
        if window.low_us < before < window.high_us:
            inside.append(code)
            reached.append(before / unit_us)
            mean = found.mean(axis=0)
            variance = _width(found - mean) ** 2 * _REPEATS / (_REPEATS - 1)
            pulses.append(variance)
            own.append(max(_width(mean) ** 2 - variance / _REPEATS, 0.0))
    if len(inside) < 2:
        raise CelosiaError(
            f"{polarity.name} ramp of the emulator's device must take cells through its window, "
            f"and {device.name}'s doesn't"
        )
    over_cells, over_pulses = (float(np.sqrt(np.mean(each))) / unit_us for each in (own, pulses))
    codes_inside = np.array(inside, float)
    return _Response(
        onset, codes_inside, np.array(reached), (stop, at_stop), over_cells, over_pulses
    )


def _width(values: FloatArray) -> float:
    """Half the distance between the percentiles that are a standard deviation from the mean."""
    low, high = np.percentile(values, (15.87, 84.13))
    return float(high - low) / 2


def _spread(sigma: float, name: str) -> int:
    """The spread of a standard deviation in units, or the largest there is."""
    return min(round(sigma / _SPREAD_SIGMA), HIGHEST[name])


def _noise(device: Device, config: CrossbarConfig, unit_us: float) -> tuple[int, int, int]:
    """Spreads of reads and of products, and their fractional bits.

    A read's is the mean square over the levels; a product's makes the variance of a sum of all
    levels that of its cells together.
    """
    levels = np.arange(config.levels) * config.level_step
    conductances: FloatArray = device.window.low_us + levels.astype(np.float64) * unit_us
    cells = DeviceCells(device, config.levels, _SEED)
    cells.wait(_READ_AGE_S)
    sigma = cells.read_sigma(np.arange(config.levels), conductances) / unit_us
    variance = float(np.mean(sigma**2))
    if not variance:
        return 0, 0, 0
    at_one = variance / float(np.mean(conductances)) * unit_us
    read, product = (float(np.sqrt(each)) / _SPREAD_SIGMA for each in (variance, at_one))
    highest = min(HIGHEST["read_spread"], HIGHEST["product_spread"])
    fraction = next(
        (bits for bits in range(_FINEST, 0, -1) if max(read, product) * (1 << bits) <= highest), 0
    )
    read, product = (min(round(value * (1 << fraction)), highest) for value in (read, product))
    return read, product, fraction
