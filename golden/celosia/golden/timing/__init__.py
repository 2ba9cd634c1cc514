"""The golden machine's clock: how many cycles a program takes, and where they go."""

from celosia.golden.timing.crossbar import product_cycles
from celosia.golden.timing.npu import model_cycles
from celosia.golden.timing.records import Profile

__all__ = ["Profile", "model_cycles", "product_cycles"]
