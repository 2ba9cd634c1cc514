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

    return {
        Event.MAC: Cost(_INT8_MULTIPLY + _INT32_ADD, 45, _HOROWITZ),
        Event.WEIGHT_BYTE: memory(config.weight_kib),
        Event.SCRATCHPAD_BYTE: memory(config.scratchpad_kib),
        Event.ACCUMULATOR_BYTE: memory(accumulators_kib),
        Event.REQUANTISATION: Cost(_INT32_MULTIPLY + _INT32_ADD, 45, _HOROWITZ),
    }
