"""When the two ends of a stream hesitate."""

import random
from collections.abc import Iterator
from enum import Enum


class Stall(Enum):
    """A random pattern of stalls: (probability, longest).

    In a cycle without a stall, one begins with this probability and lasts 1 to ``longest``
    cycles, all lengths alike.
    """

    NEVER = (0.0, 1)
    HALF = (0.5, 1)
    BURSTS = (0.2, 8)
    LONG = (0.02, 100)

    def cycles(self, rng: random.Random) -> Iterator[bool]:
        """Endless: whether to stall in each cycle."""
        probability, longest = self.value
        while True:
            if rng.random() < probability:
                yield from [True] * rng.randint(1, longest)
            else:
                yield False
