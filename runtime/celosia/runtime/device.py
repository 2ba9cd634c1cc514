"""The Device API: one way to run a program, whatever runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Write
from celosia.golden.memory_map import Counter
from celosia.runtime.crossbar.programming import ProductCounts


@dataclass(frozen=True)
class Inference:
    """What one run of a program left behind.

    Attributes:
        reads: vectors [n, R] of each of the program's outputs.
        counters: performance counters of the whole run; None where the device has none, or nobody
            has read them.
        marks: counters at the end of each layer, in the program's order, as far as the NPU keeps
            them; empty where `counters` is None.
    """

    reads: list[NDArray[np.int8]]
    counters: Mapping[Counter, int] | None = None
    marks: Sequence[Mapping[Counter, int]] = ()


@dataclass(frozen=True)
class Measured:
    """What a device took.

    Attributes:
        build_s, wall_s: seconds to build, and of all runs.
        simulated_cycles: clock cycles simulated in `wall_s`.
        serial_cycles: of one run, writing its inputs before and reading its outputs after it.
        overlapping_cycles: from one start to the next where the host transfers meanwhile. Both are
            None where the device has no clock, this one also where the program has one entry.
    """

    build_s: float = 0.0
    wall_s: float = 0.0
    simulated_cycles: int = 0
    serial_cycles: int | None = None
    overlapping_cycles: int | None = None


@dataclass(frozen=True)
class TilesRun:
    """What became of crossbar tiles.

    Attributes:
        products: counts of all products of all runs.
        differing_words: words that the hardware answered while its tiles were programmed and that
            aren't the golden controller's; 0 where there is no hardware.
        programming_cycles: clock cycles that it took; None where nobody counts them.
    """

    products: ProductCounts
    differing_words: int = 0
    programming_cycles: int | None = None


class Device(Protocol):
    """Something that runs one program, loaded when it was made."""

    cycles_source: str
    """What its counters come from: `model`, `rtl` or `board`."""
    measured: Measured
    """What building and all runs so far took."""
    tiles: TilesRun | None
    """What became of the crossbar's tiles in the last `run`, where the program has some."""

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, the host's writes for its first entry.

        Runs take the program's entries in turn.
        """
        ...
