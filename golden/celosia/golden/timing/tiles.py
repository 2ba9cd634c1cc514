"""An engine's weights, tile by tile or set by set: one in use, the next one loaded meanwhile."""

from celosia.golden.timing.clockwork import Clock, Condition


class Tiles:
    """When tiles are complete in an engine, and when each is taken into use.

    The vectors of the next one enter `reload_cycles` after that at the earliest.
    """

    def __init__(self, clock: Clock, reload_cycles: int) -> None:
        self._reload_cycles = reload_cycles
        self._complete: list[int] = []
        self._used: list[int] = []
        self.loaded = Condition(clock)
        self.freed = Condition(clock)

    @property
    def open(self) -> int | None:
        """From which cycle on the vectors of another one enter, or None if that isn't known yet."""
        if not self._complete:
            return 0
        if len(self._used) < len(self._complete):
            return None
        return self._used[-1] + self._reload_cycles

    def next_complete(self) -> int | None:
        """First cycle in which the next tile can be taken into use, or None if it isn't known."""
        index = len(self._used)
        return self._complete[index] if index < len(self._complete) else None

    def complete(self, cycle: int) -> None:
        """The next tile is complete."""
        self._complete.append(cycle)
        self.loaded.notify()

    def use(self, cycle: int) -> None:
        """A pass begins with the next tile."""
        self._used.append(cycle)
        self.freed.notify()
