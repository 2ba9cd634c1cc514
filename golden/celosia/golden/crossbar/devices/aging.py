"""What time and wear do: relaxation, drift, and a window that shrinks."""

import math

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.draws import Purpose, normals
from celosia.golden.crossbar.devices.lifetime import RELAXATION_STARTS_S, Drift, Endurance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def aged(
    device: Device,
    seed: int,
    cells: IntArray,
    access: IntArray,
    programmed_us: FloatArray,
    seconds: FloatArray,
) -> FloatArray:
    """Conductances (uS) of cells `seconds` after the last pulse, `access` of them so far; all [n].

    The deviate of a cell is drawn once for each pulse: a cell relaxes along one path until it is
    programmed again.
    """
    result = programmed_us
    if device.relaxation:
        deviates = normals(seed, Purpose.RELAXATION, cells, access)
        result = result + deviates * _relaxed_sigma(device, programmed_us, seconds)
    if device.drift is not None:
        deviates = normals(seed, Purpose.DRIFT, cells, access)
        x = programmed_us / device.window.high_us
        result = result * _drifted(device.drift, x, deviates, seconds)
    return np.maximum(result, 0.0)


def _relaxed_sigma(device: Device, programmed_us: FloatArray, seconds: FloatArray) -> FloatArray:
    """Straight lines in log time between the published times; level after the last."""
    times = [RELAXATION_STARTS_S, *(entry.seconds for entry in device.relaxation)]
    sigmas = [np.zeros_like(programmed_us)]
    sigmas += [entry.sigma(programmed_us) for entry in device.relaxation]
    position = np.interp(
        np.log(np.maximum(seconds, RELAXATION_STARTS_S)),
        [math.log(time) for time in times],
        np.arange(len(times)),
    )
    before = np.minimum(position.astype(int), len(times) - 2)
    stacked = np.stack(sigmas)
    each = np.arange(len(programmed_us))
    part = position - before
    sigma: FloatArray = stacked[before, each] * (1 - part) + stacked[before + 1, each] * part
    return sigma


def _drifted(drift: Drift, x: FloatArray, deviates: FloatArray, seconds: FloatArray) -> FloatArray:
    """The factor (t / t0)^-nu, 1 before t0."""
    log_x = np.log(np.maximum(x, 1e-9))
    mean = np.clip(drift.mean - drift.mean_fall * log_x, drift.mean_lowest, drift.mean_highest)
    sigma = np.clip(
        -drift.sigma_below - drift.sigma_fall * log_x, drift.sigma_lowest, drift.sigma_highest
    )
    left: FloatArray = np.maximum(seconds / drift.start_s, 1.0) ** -(mean + sigma * deviates)
    return left


def closing(endurance: Endurance | None, cycles: IntArray) -> FloatArray:
    """Factor by which the floor of RESET has risen in each cell."""
    if endurance is None:
        return np.ones(len(cycles))
    factors: FloatArray = np.maximum(cycles, 1.0) ** endurance.closing
    return factors


def worn_out(
    endurance: Endurance | None, seed: int, cells: IntArray, cycles: IntArray
) -> BoolArray:
    """Whether each cell's life is over; bool [n]."""
    if endurance is None:
        return np.zeros(len(cells), bool)
    life = endurance.cycles * np.exp(endurance.spread * normals(seed, Purpose.LIFE, cells, 0))
    over: BoolArray = cycles >= life
    return over
