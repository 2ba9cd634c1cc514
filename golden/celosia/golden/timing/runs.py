"""What MATRIX runs: the vectors of a MATMUL, DEPTHWISE or PRODUCT."""

from dataclasses import dataclass

from celosia.golden.isa import Depthwise, DepthwiseWindow, Matmul, Product
from celosia.golden.memory_map import Counter

FIRST_VECTOR_CYCLES = 4
"""From taking an instruction to offering its first vector: two of the address generator, two of the
memory and the register behind it."""
POSITIONS_AHEAD = 4
"""Positions that have left the loop counters when a vector is taken: three are with the memory, one
waits for it. The next instruction may be taken when the last one leaves."""
READ_AHEAD_CYCLES = 2
"""From reading a vector to offering it."""


@dataclass(frozen=True)
class Run:
    """An instruction that was taken in cycle `begin`, and its `passes` of `vectors` each.

    `waits` are the (reason, first cycle, end) of what came before it; `window` is DEPTHWISE's.
    """

    instruction: Matmul | Depthwise | Product
    begin: int
    passes: int
    vectors: int
    waits: tuple[tuple[Counter, int, int], ...]
    window: DepthwiseWindow | None = None

    @property
    def decisive(self) -> int:
        """The vector that is taken when the last position leaves the counters; maybe below 0."""
        return self.passes * self.vectors - POSITIONS_AHEAD - 1
