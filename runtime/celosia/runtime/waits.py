"""What the array did in a cycle, in words."""

from celosia.golden.memory_map import Counter

MEANINGS = {
    Counter.MATRIX_BUSY: "computing",
    Counter.MATRIX_DEPTHWISE: "computing depthwise, beside the array",
    Counter.MATRIX_CROSSBAR: "computing on the crossbar",
    Counter.MATRIX_WEIGHTS: "waiting for weights",
    Counter.MATRIX_DEPENDENCY: "waiting for the previous layer",
    Counter.MATRIX_ACCUMULATORS: "waiting for accumulators",
    Counter.MATRIX_MEMORY: "waiting for memory",
    Counter.MATRIX_IDLE: "nothing to do (add, pool, tail)",
}
"""Each of the array's counters; a cycle counts in exactly one."""


def short_title(counter: Counter) -> str:
    """A word for the head of a column."""
    return counter.name.removeprefix("MATRIX_").lower()
