"""What orders the units: instruction queues and semaphores."""

from collections import deque

from celosia.golden.isa import Instruction, Semaphore
from celosia.golden.timing.clockwork import Clock, Condition


class InstructionQueue:
    """The queue in front of a unit, as `celosia.hdl.stream.StreamFifo`.

    Its last place is a register at the output. An instruction moves there one cycle after it was
    written at the earliest, or when the one before it is taken; it is offered from the next cycle
    on. The places behind the register are one less than the depth, and one that becomes free is
    there for the cycle after. A queue of one is that register alone, written directly. Without a
    queue the instruction is offered where it was fetched, until it is taken.
    """

    def __init__(self, clock: Clock, depth: int) -> None:
        self._places = depth - 1
        self._absent = depth == 0
        self._waiting: deque[tuple[Instruction, int]] = deque()  # with the cycle of the write
        self._moved: deque[int] = deque(maxlen=depth or 1)  # the latest moves to the register
        self._written = self._moves = self._taken = 0
        self._last_taken = -1
        self.filled = Condition(clock, work=True)
        self.emptied = Condition(clock)

    def room(self) -> int | None:
        """First cycle in which an instruction may be written; None if that isn't known yet."""
        if self._places <= 0:
            return self._last_taken + 1 if self._taken == self._written else None
        behind = self._written - self._moves
        if behind >= self._places:
            return None
        index = self._written - self._places  # whose move made the place
        return 0 if index < 0 else self._moved[index - self._moves] + 1

    def put(self, instruction: Instruction, cycle: int) -> None:
        """Write an instruction in a cycle."""
        self._waiting.append((instruction, cycle))
        self._written += 1
        self._move()
        self.filled.notify()

    def left(self, cycle: int) -> int | None:
        """When what was written in a cycle has left the sequencer; None if that isn't known yet."""
        if not self._absent:
            return cycle
        return self._last_taken if self._taken == self._written else None

    def head(self) -> tuple[Instruction, int] | None:
        """The next instruction and the first cycle in which it is offered, if there is one."""
        return (self._waiting[0][0], self._moved[-1] + 1) if self._waiting else None

    def take(self, cycle: int) -> None:
        """The unit takes the next instruction in a cycle."""
        self._waiting.popleft()
        self._taken += 1
        self._last_taken = cycle
        self._move()
        self.emptied.notify()

    def _move(self) -> None:
        """Move the next instruction to the register, if both are known to be free and written."""
        if self._moves == self._taken < self._written:
            arrived = self._waiting[0][1] + (self._places > 0) - self._absent
            self._moved.append(max(arrived, self._last_taken))
            self._moves += 1


class Semaphores:
    """Counting semaphores by the cycles from which on each of their counts can be taken."""

    def __init__(self, clock: Clock) -> None:
        self._raised: dict[Semaphore, deque[int]] = {s: deque() for s in Semaphore}
        self.changed = Condition(clock)

    def granted(self, wait: int) -> int | None:
        """First cycle in which all of a set can be taken; None if that isn't known yet."""
        cycle = 0
        for semaphore, counts in self._raised.items():
            if semaphore & wait:
                if not counts:
                    return None
                cycle = max(cycle, counts[0])
        return cycle

    def take(self, wait: int) -> None:
        """Take one of each of a set."""
        for semaphore, counts in self._raised.items():
            if semaphore & wait:
                counts.popleft()

    def signal(self, semaphores: int, cycle: int) -> None:
        """Raise a set; a unit can take it from `cycle` on."""
        if semaphores:
            for semaphore, counts in self._raised.items():
                if semaphore & semaphores:
                    counts.append(cycle)
            self.changed.notify()
