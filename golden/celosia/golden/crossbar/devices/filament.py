"""The law `filament`: SET grows a filament up to a limit, RESET dissolves it down to one.

A SET pulse is self-limiting: the transistor's gate sets a current compliance and the bit line the
voltage that is left to drive growth, so that conductance rises to G_limit(gate, line) and stays
there. A RESET pulse opens a gap that widens with the source-line voltage. Both limits scatter: over
cells, from cycle to cycle (a filament that was SET anew dissolves to another gap), from pulse to
pulse.
"""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.devices.draws import Purpose, normals
from celosia.golden.crossbar.devices.groups import PulseWidth, ResetPulse, SetPulse

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def set_pulse(
    law: SetPulse,
    seed: int,
    cells: IntArray,
    access: IntArray,
    conductances: FloatArray,
    gate_v: FloatArray,
    line_v: FloatArray,
) -> FloatArray:
    """Conductances (uS) after one SET pulse on each of cells; arrays are [n].

    Args:
        law: the device's numbers.
        seed: of the draws.
        cells: numbers of the cells.
        access: numbers of the pulses on these cells.
        conductances: before the pulse, uS.
        gate_v, line_v: word-line and bit-line voltages.
    """
    threshold_v = law.gate_v + law.gate_sigma_v * normals(seed, Purpose.GATE, cells, 0)
    highest = (
        law.limit_us
        * np.exp(law.limit_spread * normals(seed, Purpose.LIMIT, cells, 0))
        * _risen(line_v, np.full_like(line_v, law.line_v), law.line_scale_v)
    )
    limit = highest * _risen(gate_v, threshold_v, law.gate_scale_v)
    jump = 1.0 - conductances / np.maximum(limit, conductances)
    sigma_v = law.pulse_sigma_v + law.jump_sigma_v * jump
    scattered_v = threshold_v + sigma_v * normals(seed, Purpose.SET_PULSE, cells, access)
    limit = highest * _risen(gate_v, scattered_v, law.gate_scale_v)
    return np.maximum(conductances, limit)


def reset_pulse(
    law: ResetPulse,
    seed: int,
    cells: IntArray,
    access: IntArray,
    cycles: IntArray,
    conductances: FloatArray,
    gate_v: FloatArray,
    line_v: FloatArray,
    risen: FloatArray,
    highest_us: float,
) -> FloatArray:
    """Conductances (uS) after one RESET pulse on each of cells; arrays are [n].

    Args:
        law, seed, cells, access, conductances, gate_v: as for `set_pulse`.
        cycles: how often each cell has been RESET after a SET.
        line_v: source-line voltages.
        risen: factors by which the floor has risen with wear.
        highest_us: where the limit counts as undissolved and so doesn't scatter.
    """
    across_v = np.minimum(line_v, gate_v - law.gate_drop_v)
    threshold_v = law.line_v + law.line_sigma_v * normals(seed, Purpose.RESET_VOLTAGE, cells, 0)
    rise = np.minimum((across_v - threshold_v) / law.line_scale_v, 50.0)
    floor = np.minimum(law.floor_us * risen, 0.9 * highest_us)
    limit = floor + law.reference_us * np.exp(-np.maximum(rise, -50.0))
    depth = np.clip(np.log(highest_us / limit) / np.log(highest_us / floor), 0.0, 1.0)
    scatter = (
        law.device_spread * normals(seed, Purpose.FLOOR, cells, 0)
        + law.cycle_spread * normals(seed, Purpose.CYCLE, cells, cycles)
        + law.pulse_spread * normals(seed, Purpose.RESET_PULSE, cells, access)
    )
    after: FloatArray = np.minimum(conductances, limit * np.exp(depth * scatter))
    return after


def width_v(law: PulseWidth | None, width_s: float) -> float:
    """Volts that a pulse's width is worth beside one of the reference width."""
    if law is None:
        return 0.0
    return float(law.per_decade_v * np.log10(width_s / law.reference_s))


def _risen(voltages: FloatArray, thresholds: FloatArray, scale_v: float) -> FloatArray:
    """0 below the threshold, then towards 1."""
    return -np.expm1(-np.maximum(voltages - thresholds, 0.0) / scale_v)
