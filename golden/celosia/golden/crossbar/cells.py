"""The state machine that programs a cell, for many cells at once, in the gateware's integers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode, CellAccess
from celosia.golden.crossbar.settings import Ramp, RampField, Setting, WindowField

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MODES = {
    Ramp.FORM: BiasMode.FORM,
    Ramp.SET: BiasMode.SET,
    Ramp.RESET: BiasMode.RESET,
    Ramp.SET_FINE: BiasMode.SET,
    Ramp.RESET_FINE: BiasMode.RESET,
}
"""What the lines are biased for in the pulses of a ramp."""

UNFINISHED = -1
_NONE = -1
_SET, _RESET = 0, 1


class Cells:
    """State of n cells during one command. Cells are chosen by indices [k] into them.

    The machine of a cell: `read`, then `judge`: inside its window and confirmed it is CONVERGED;
    below the window it takes a SET pulse, above it a RESET pulse (`pulse`). A ramp starts again
    whenever the direction, or the ramp, isn't that of the pulse before.

    Args:
        front_end, config: as for `Programmer`.
        scalars: value of each `Setting`.
        ramps: [ramps, fields].
        tile, rows [n], columns [n]: the cells.
        windows: [n, fields], each cell's.

    Attributes:
        result, code, pulses, set_pulses, reads: as in `CellResults`, [n].
        trusting: cells whose next read, if it is in the read window, is proof enough, [n].
    """

    def __init__(
        self,
        front_end: CellAccess,
        config: CrossbarConfig,
        scalars: Mapping[Setting, int],
        ramps: Integers,
        tile: int,
        rows: Integers,
        columns: Integers,
        windows: Integers,
    ) -> None:
        self._front_end, self._config, self._scalars = front_end, config, scalars
        self._ramps, self._tile, self._windows = ramps, tile, windows
        self.rows, self.columns = rows, columns

        def filled(value: int) -> Integers:
            return np.full(len(rows), value, np.int64)

        self.result = filled(UNFINISHED)
        self.code, self.pulses, self.set_pulses, self.reads = (filled(0) for _ in range(4))
        self.trusting = np.zeros(len(rows), bool)
        self._sum, self._confirming, self._flips, self._at_end = (filled(0) for _ in range(4))
        self._direction, self._ramp = filled(_NONE), filled(_NONE)
        self._word_line, self._base, self._line = (filled(0) for _ in range(3))
        self._coarse_word_line = np.full((len(rows), 2), _NONE, np.int64)

    def read(self, cells: Integers) -> None:
        """One read of each of the cells: `code` is the mean of the conversions."""
        shift = self._scalars[Setting.READ_SHIFT]
        rows, columns = self.rows[cells], self.columns[cells]
        total = np.zeros(len(cells), np.int64)
        for _ in range(1 << shift):
            total += self._front_end.read(self._tile, rows, columns)
        self._sum[cells] = total
        self.code[cells] = (total + ((1 << shift) >> 1)) >> shift
        self.reads[cells] += 1 << shift

    def form(self) -> None:
        """Form all cells, each followed by its mandatory RESET pulse."""
        threshold = self._scalars[Setting.FORMED_CODE] << self._scalars[Setting.READ_SHIFT]
        cells = self._unfinished()
        while len(cells):
            self.read(cells)
            formed = self._sum[cells] >= threshold
            unformed = cells[~formed]
            spent = self._ended(unformed) | self._exhausted(unformed)
            self.result[unformed[spent]] = Result.UNFORMED
            self._pulse(unformed[~spent], np.full(np.count_nonzero(~spent), Ramp.FORM))
            ready = cells[formed]
            self._step(ready, np.full(len(ready), _RESET), np.ones(len(ready), bool))
            # Those that are formed, and RESET, wait for the others; nothing passes between cells.
            cells = self._unfinished()
            cells = cells[self._direction[cells] == _NONE]

    def program(self) -> None:
        """Bring all unfinished cells into their windows."""
        while len(cells := self._unfinished()):
            self.read(cells)
            self._judge(cells)

    def _unfinished(self) -> Integers:
        return np.flatnonzero(self.result == UNFINISHED)

    def _judge(self, cells: Integers) -> None:
        """What the last read means for each of the cells."""
        shift = self._scalars[Setting.READ_SHIFT]
        confirming, trusting = self._confirming[cells], self.trusting[cells]
        windows = self._windows[cells]
        loose = trusting | (confirming > 0)
        low = np.where(loose, windows[:, WindowField.READ_LOW], windows[:, WindowField.WRITE_LOW])
        high = np.where(
            loose, windows[:, WindowField.READ_HIGH], windows[:, WindowField.WRITE_HIGH]
        )
        under = (low << shift) - self._sum[cells]
        over = self._sum[cells] - (high << shift)
        below = under > 0
        outside = below | (over > 0)
        done = ~outside & (trusting | (confirming == self._scalars[Setting.CONFIRMS]))
        self.result[cells[done]] = Result.CONVERGED
        self._confirming[cells] = np.where(outside, 0, confirming + 1)
        self.trusting[cells] = False
        far = np.where(below, under, over) > self._scalars[Setting.COARSE_DISTANCE] << shift
        direction = np.where(below, _SET, _RESET)
        self._step(cells[outside], direction[outside], far[outside])

    def _step(self, cells: Integers, direction: Integers, far: Flags) -> None:
        """End cells that are at a limit; give the others a pulse in their direction."""
        flips = (self._direction[cells] != _NONE) & (self._direction[cells] != direction)
        self._flips[cells] += flips
        self._direction[cells] = direction
        fine = (self._scalars[Setting.SCHEME] == Scheme.COARSE_FINE) & ~far
        ramp = np.where(fine, Ramp.SET_FINE, Ramp.SET) + direction
        result = np.full(len(cells), UNFINISHED)
        result[self._ended(cells) & (ramp == self._ramp[cells])] = Result.STUCK_LOW
        result[(result == Result.STUCK_LOW) & (direction == _RESET)] = Result.STUCK_HIGH
        result[self._exhausted(cells)] = Result.TIMEOUT
        result[self._flips[cells] > self._scalars[Setting.MAXIMUM_FLIPS]] = Result.OSCILLATING
        self.result[cells] = result
        left = result == UNFINISHED
        self._pulse(cells[left], ramp[left])

    def _ended(self, cells: Integers) -> Flags:
        """Whether the ramp's last pulse was repeated as often as it may."""
        return self._at_end[cells] > self._scalars[Setting.END_PULSES]

    def _exhausted(self, cells: Integers) -> Flags:
        return self.pulses[cells] >= self._scalars[Setting.MAXIMUM_PULSES]

    def _pulse(self, cells: Integers, ramp: Integers) -> None:
        """Start ramps that are new, pulse, and step each ramp on; what is limited is ABORTED."""
        self._start(cells[ramp != self._ramp[cells]], ramp[ramp != self._ramp[cells]])
        fields = self._ramps[ramp]
        config = self._config
        allowed = (
            (self._word_line[cells] <= config.max_word_line)
            & (self._line[cells] <= config.max_line)
            & (fields[:, RampField.WIDTH] <= config.max_width)
            & (fields[:, RampField.WIDTH] > 0)
        )
        self.result[cells[~allowed]] = Result.ABORTED
        cells, ramp = cells[allowed], ramp[allowed]
        for one in Ramp:
            chosen = cells[ramp == one]
            if len(chosen):
                self._front_end.pulse(
                    self._tile,
                    self.rows[chosen],
                    self.columns[chosen],
                    MODES[one],
                    self._word_line[chosen],
                    self._line[chosen],
                    int(self._ramps[one, RampField.WIDTH]),
                )
            if one in (Ramp.SET, Ramp.RESET):
                self._coarse_word_line[chosen, one - Ramp.SET] = self._word_line[chosen]
        self.pulses[cells] += 1
        self.set_pulses[cells] += np.isin(ramp, (Ramp.FORM, Ramp.SET, Ramp.SET_FINE))
        self._advance(cells, self._ramps[ramp])

    def _start(self, cells: Integers, ramp: Integers) -> None:
        """Begin ramps; a fine one begins at the last coarse pulse's word line, if there was one."""
        fields = self._ramps[ramp]
        direction = np.where(np.isin(ramp, (Ramp.RESET, Ramp.RESET_FINE)), _RESET, _SET)
        held = self._coarse_word_line[cells, direction]
        held = np.where((ramp >= Ramp.SET_FINE) & (held != _NONE), held, _NONE)
        base = np.where(held == _NONE, fields[:, RampField.WORD_LINE_START], held)
        self._ramp[cells] = ramp
        self._base[cells] = self._word_line[cells] = base
        self._line[cells] = fields[:, RampField.LINE_START]
        self._at_end[cells] = 0

    def _advance(self, cells: Integers, fields: Integers) -> None:
        """Step the inner line; at its stop, the outer one, and start the inner one again."""
        word, word_step = self._word_line[cells], fields[:, RampField.WORD_LINE_STEP]
        line, line_step = self._line[cells], fields[:, RampField.LINE_STEP]
        word_rises = (word_step > 0) & (word + word_step <= fields[:, RampField.WORD_LINE_STOP])
        line_rises = (line_step > 0) & (line + line_step <= fields[:, RampField.LINE_STOP])
        line_first = fields[:, RampField.LINE_FIRST] == 1
        restart_line = line_first & ~line_rises & word_rises
        restart_word = ~line_first & ~word_rises & line_rises
        word_steps = word_rises & (~line_first | ~line_rises)
        line_steps = line_rises & (line_first | ~word_rises)
        self._word_line[cells] = np.where(
            restart_word, self._base[cells], word + word_steps * word_step
        )
        self._line[cells] = np.where(
            restart_line, fields[:, RampField.LINE_START], line + line_steps * line_step
        )
        self._at_end[cells] += ~word_rises & ~line_rises
