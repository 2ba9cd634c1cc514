"""What events cost, each figure with its source.

Figures are of different chips and nodes; `Cost.node` says of which. They are good for comparing
how a network's energy is made up, not for predicting a chip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log

from celosia.golden.config import NpuConfig
from celosia.golden.energy.events import Event


@dataclass(frozen=True)
class Cost:
    """Picojoules of one event.

    `node` is the process in nanometres; `published` is False where the figure is interpolated
    between published ones.
    """

    pj: float
    node: int
    source: str
    published: bool = True


_HOROWITZ = "M. Horowitz, Computing's energy problem, ISSCC 2014, table of 45 nm at 0.9 V"
_INT8_MULTIPLY, _INT32_MULTIPLY, _INT32_ADD = 0.2, 3.1, 0.1

_ISAAC = "ISAAC's components at 32 nm as in hwcomponents-library 1.0.58"
CONVERSION_PJ: Mapping[int, float] = {
    4: 0.79,
    5: 0.99,
    6: 1.20,
    7: 1.42,
    8: 1.67,
    9: 1.97,
    10: 2.38,
}
"""Picojoules of a conversion by bits: SAR converters of 1.2 GS/s (Kull, Saberi), same source."""
_ROW_DRIVE, _SHIFT_ADD = 0.41667, 0.021
_CELL_READ = 1e12 * 0.2**2 * 40e-6 * 10e-9
"""V^2 G t of 0.2 V, 40 uS and 10 ns: the read voltage, the largest conductance and the read time of
NeuRRAM-type cells."""

SRAM_PJ_PER_8_BYTES: Mapping[int, float] = {8: 10.0, 32: 20.0, 1024: 100.0}
"""Picojoules of a 64-bit access to a memory of so many KiB, by the same table."""


def sram_pj_per_byte(kib: float) -> float:
    """Picojoules a byte of a memory of `kib` KiB, on a power law between the published sizes.

    Smaller and larger memories are taken for the smallest and the largest one.
    """
    sizes = sorted(SRAM_PJ_PER_8_BYTES)
    size = min(max(kib, sizes[0]), sizes[-1])
    for low, high in pairwise(sizes):
        if size <= high:
            share = log(size / low) / log(high / low)
            first, last = SRAM_PJ_PER_8_BYTES[low], SRAM_PJ_PER_8_BYTES[high]
            return float(first * (last / first) ** share) / 8
    raise AssertionError(f"no memory of {kib} KiB")


def npu_costs(config: NpuConfig) -> dict[Event, Cost]:
    """What each event costs on an NPU of these sizes."""
    accumulators_kib = config.accumulator_depth * config.columns * 4 / 1024

    def memory(kib: float) -> Cost:
        return Cost(sram_pj_per_byte(kib), 45, _HOROWITZ, kib in SRAM_PJ_PER_8_BYTES)

    bits = 8 if config.crossbar is None else config.crossbar.adc_bits
    nearest = min(CONVERSION_PJ, key=lambda known: abs(known - bits))
    return {
        Event.MAC: Cost(_INT8_MULTIPLY + _INT32_ADD, 45, _HOROWITZ),
        Event.WEIGHT_BYTE: memory(config.weight_kib),
        Event.SCRATCHPAD_BYTE: memory(config.scratchpad_kib),
        Event.ACCUMULATOR_BYTE: memory(accumulators_kib),
        Event.REQUANTISATION: Cost(_INT32_MULTIPLY + _INT32_ADD, 45, _HOROWITZ),
        Event.ROW_DRIVE: Cost(_ROW_DRIVE, 32, _ISAAC),
        Event.CELL_READ: Cost(_CELL_READ, 130, "V^2 G t of NeuRRAM-type cells", published=False),
        Event.CONVERSION: Cost(CONVERSION_PJ[nearest], 32, _ISAAC, nearest == bits),
        Event.SHIFT_ADD: Cost(_SHIFT_ADD, 32, _ISAAC),
    }
