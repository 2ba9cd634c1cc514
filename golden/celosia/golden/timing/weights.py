"""The engines' weights: a tile or a set in use, and the next one loaded meanwhile."""

from celosia.golden.timing.clockwork import Clock, Condition


class LoadedWeights:
    """When an engine's next weights are complete, and when they are taken into use.

    The first vector of those after them enters `gap` cycles after that.
    """

    def __init__(self, clock: Clock, gap: int) -> None:
        self._complete: list[int] = []
        self._used: list[int] = []
        self._gap = gap
        self.loaded = Condition(clock)
        self.freed = Condition(clock)

    @property
    def entrance(self) -> int | None:
        """First cycle in which a vector of the next weights enters; None if that isn't known."""
        if not self._complete:
            return 0
        return self._used[-1] + self._gap if len(self._used) == len(self._complete) else None

    def next_complete(self) -> int | None:
        """First cycle in which the next weights can be taken into use, or None if not known."""
        index = len(self._used)
        return self._complete[index] if index < len(self._complete) else None

    def complete(self, cycle: int) -> None:
        """The next weights are complete."""
        self._complete.append(cycle)
        self.loaded.notify()

    def use(self, cycle: int) -> None:
        """The next weights are taken into use."""
        self._used.append(cycle)
        self.freed.notify()
