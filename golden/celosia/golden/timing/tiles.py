"""The matrix engine's weight tiles: one in use, and the next one loaded meanwhile."""

from celosia.golden.timing.clockwork import Clock, Condition


class Tiles:
    """When tiles are complete in the engine, and when each is taken into use."""

    def __init__(self, clock: Clock) -> None:
        self._complete: list[int] = []
        self._used: list[int] = []
        self.loaded = Condition(clock)
        self.freed = Condition(clock)

    @property
    def last_used(self) -> int | None:
        """When the tile loaded last was taken into use, or None if that isn't known yet.

        The rows of the one after it enter the engine from that cycle on.
        """
        if not self._complete:
            return 0
        return self._used[-1] if len(self._used) == len(self._complete) else None

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
