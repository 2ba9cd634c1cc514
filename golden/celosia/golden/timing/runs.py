"""What MATRIX runs: the vectors of a MATMUL, DEPTHWISE or PRODUCT."""

from dataclasses import dataclass

from celosia.golden.config import NpuConfig
from celosia.golden.isa import Depthwise, DepthwiseWindow, Matmul, Product
from celosia.golden.memory_map import Counter

MEMORY_AHEAD = 3
"""Positions that are with the memory when a vector is taken."""
READ_AHEAD_CYCLES = 2
"""From reading a vector to offering it."""


def positions_ahead(config: NpuConfig) -> int:
    """Positions that have left the loop counters when a vector is taken.

    The next instruction may be taken when the last one leaves. Where instructions have queues one
    position waits in a register for the memory.
    """
    return MEMORY_AHEAD + (config.queue_depth > 0)


def first_vector_cycles(config: NpuConfig) -> int:
    """From taking an instruction to offering its first vector.

    One or two of the address generator, two of the memory and the register behind it.
    """
    return 2 + READ_AHEAD_CYCLES - (config.queue_depth == 0)


@dataclass(frozen=True)
class Run:
    """An instruction that was taken in cycle `begin`, and its `passes` of `vectors` each.

    `waits` are the (reason, first cycle, end) of what came before it; `ahead` are the positions
    that have left the loop counters when a vector is taken; `window` is DEPTHWISE's.
    """

    instruction: Matmul | Depthwise | Product
    begin: int
    passes: int
    vectors: int
    waits: tuple[tuple[Counter, int, int], ...]
    ahead: int
    window: DepthwiseWindow | None = None

    @property
    def decisive(self) -> int:
        """The vector that is taken when the last position leaves the counters; maybe below 0."""
        return self.passes * self.vectors - self.ahead - 1
