"""The Device API: one way to run a program, whatever runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celosia.golden.memory_map import Counter

Write = tuple[int, NDArray[np.int8]]
"""Scratchpad address and the vectors [n, R] to write there."""


@dataclass(frozen=True)
class Inference:
    """What one run of a program left behind.

    Attributes:
        reads: vectors [n, R] of each of the program's outputs.
        counters: performance counters of the whole run; None where the device has none.
        marks: counters at the end of each layer, in the program's order, as far as the NPU keeps
            them; empty where `counters` is None.
    """

    reads: list[NDArray[np.int8]]
    counters: Mapping[Counter, int] | None = None
    marks: Sequence[Mapping[Counter, int]] = ()


@dataclass(frozen=True)
class Measured:
    """What a device took: seconds to build and to run, and cycles simulated in them."""

    build_s: float = 0.0
    wall_s: float = 0.0
    simulated_cycles: int = 0


class Device(Protocol):
    """Something that runs one program, loaded when it was made."""

    cycles_source: str
    """What its counters come from: `model` or `rtl`."""
    measured: Measured
    """What building and all runs so far took."""

    def run(self, inputs: Sequence[Sequence[Write]]) -> list[Inference]:
        """Run the program once for each element of `inputs`, which are the host's writes."""
        ...
