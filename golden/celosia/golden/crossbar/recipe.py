"""The controller's settings for a device: its ramps and windows in codes."""

import math
from dataclasses import replace
from typing import Any

from celosia.golden.crossbar.commands import Scheme
from celosia.golden.crossbar.config import PULSE_BITS, VOLTAGE_BITS, VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.ramps import Ramp as DeviceRamp
from celosia.golden.crossbar.settings import LevelWindow, Ramp, RampSettings, Setting, Settings
from celosia.golden.errors import CelosiaError

FORMED_SHARE = 0.2
"""A cell counts as formed from this share of the median conductance after forming on: below all but
a few of a thousand, far above a fresh cell (choice)."""


def settings_for(
    device: Device, config: CrossbarConfig, scheme: Scheme, step_v: float | None = None
) -> Settings:
    """Settings with which the controller programs a device.

    Args:
        device: what the cells are made of.
        config: its `cell_bits` say how many levels there are.
        scheme: how PROGRAM steps.
        step_v: word-line step of the SET ramp (the coarse one of COARSE_FINE); the device's own
            where None.

    Raises:
        CelosiaError: the device has no recipe for the scheme, a voltage or width doesn't fit its
            code or the configuration's limits, or a window has no code of the converter.
    """
    recipe = device.step if scheme == Scheme.STEP else device.coarse_fine
    if recipe is None or (scheme == Scheme.COARSE_FINE and recipe.set_fine is None):
        raise CelosiaError(
            f"device {device.name} must have ramps for coarse_fine to use that scheme"
        )
    first = recipe.set
    if step_v is not None:
        if not (math.isfinite(step_v) and VOLTS_PER_CODE <= step_v <= 1.0):
            raise CelosiaError(
                f"step must be from {1000 * VOLTS_PER_CODE:g} to 1000 mV, not {1000 * step_v:g}"
            )
        first = replace(first, gate_v=(*first.gate_v[:2], step_v))
    ramps = {Ramp.FORM: device.form, Ramp.SET: first, Ramp.RESET: recipe.reset}
    if recipe.set_fine is not None and recipe.reset_fine is not None:
        ramps |= {Ramp.SET_FINE: recipe.set_fine, Ramp.RESET_FINE: recipe.reset_fine}
    scale = scale_of(device, config)
    return Settings(
        scalars={
            Setting.SCHEME: scheme,
            Setting.BIASING: device.biasing,
            Setting.READ_SHIFT: recipe.read_shift,
            Setting.CONFIRMS: recipe.confirms,
            Setting.MAXIMUM_PULSES: recipe.maximum_pulses,
            Setting.MAXIMUM_FLIPS: recipe.maximum_flips,
            Setting.END_PULSES: recipe.end_pulses,
            Setting.COARSE_DISTANCE: round(recipe.near_us * scale),
            Setting.FORMED_CODE: math.ceil(FORMED_SHARE * device.forming.formed_us * scale),
        },
        ramps={
            ramp: _ramp_codes(volts, f"{ramp.name.lower()} of {device.name}", device, config)
            for ramp, volts in ramps.items()
        },
        windows=level_windows(device, config),
    )


def level_windows(device: Device, config: CrossbarConfig) -> tuple[LevelWindow, ...]:
    """The windows of a device's levels in converter codes, lowest level first.

    Raises:
        CelosiaError: levels would overlap, or a window has no code.
    """
    scale = scale_of(device, config)
    highest = (1 << config.adc_bits) - 1
    levels = device.level_windows(config.cell_bits)
    windows = []
    for low_us, high_us in zip(levels.low_us, levels.high_us, strict=True):
        low = max(math.ceil(low_us * scale - 1e-9), 0)
        high = min(math.floor(high_us * scale + 1e-9), highest)
        if low > high:
            raise CelosiaError(
                f"adc_bits must be enough for a code between {low_us:g} and {high_us:g} uS, "
                f"not {config.adc_bits}"
            )
        windows.append(LevelWindow(read_low=low, read_high=high, write_low=low, write_high=high))
    return tuple(windows)


def scale_of(device: Device, config: CrossbarConfig) -> float:
    """Codes of a read per uS."""
    return ((1 << config.adc_bits) - 1) / device.window.full_scale_us


def _ramp_codes(
    ramp: DeviceRamp, name: str, device: Device, config: CrossbarConfig
) -> RampSettings:
    """A ramp in codes, which must be within the limits."""
    gate = [round(volts / VOLTS_PER_CODE) for volts in ramp.gate_v]
    line = [round(volts / VOLTS_PER_CODE) for volts in ramp.line_v]
    width = round(ramp.width_s / device.window.width_unit_s)
    for what, codes, limit in (
        ("gate_v", gate, config.max_word_line),
        ("line_v", line, config.max_line),
    ):
        if codes[1] > limit:
            raise CelosiaError(
                f"{what} of {name} must stop at {limit * VOLTS_PER_CODE:g} V, the configuration's "
                f"limit, not at {codes[1] * VOLTS_PER_CODE:g} V"
            )
    if not 1 <= width <= config.max_width:
        longest = config.max_width * device.window.width_unit_s
        raise CelosiaError(
            f"width_s of {name} must be from {device.window.width_unit_s:g} to {longest:g} s, "
            f"not {ramp.width_s:g}"
        )
    return RampSettings(
        word_line_start=gate[0],
        word_line_stop=gate[1],
        word_line_step=gate[2],
        line_start=line[0],
        line_stop=line[1],
        line_step=line[2],
        width=width,
        line_first=ramp.line_first,
    )


def limits_for(device: Device) -> dict[str, Any]:
    """The configuration's limits that let through what a device's own ramps need, and no more."""
    ramps = [device.form]
    for recipe in (device.step, device.coarse_fine):
        if recipe is not None:
            fine = (recipe.set_fine, recipe.reset_fine)
            ramps += [recipe.set, recipe.reset, *(ramp for ramp in fine if ramp is not None)]
    top = (1 << VOLTAGE_BITS) - 1
    return {
        "max_word_line": min(top, max(round(r.gate_v[1] / VOLTS_PER_CODE) for r in ramps)),
        "max_line": min(top, max(round(r.line_v[1] / VOLTS_PER_CODE) for r in ramps)),
        "max_width": (1 << PULSE_BITS) - 1,
    }
