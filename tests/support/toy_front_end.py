"""A front end of a few lines, with cells that step by their pulses; for tests of controllers.

Draws come from a hash of seed, cell and access number, as the project's models do it: their order
across cells doesn't matter.
"""

import numpy as np

from celosia.golden.crossbar.front_end import BiasMode

FULL_SCALE = 255


def draws(seed, cells, accesses, span):
    """Integers from -span to span for each of the cells' accesses."""
    x = np.full(len(cells), seed, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x += cells.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    x += accesses.astype(np.uint64) * np.uint64(0x94D049BB133111EB)
    for shift in (30, 27, 31):
        x ^= x >> np.uint64(shift)
        x = x * np.uint64(0xD6E8FEB86659FD93)
    return (x >> np.uint64(33)).astype(np.int64) % (2 * span + 1) - span


class ToyFrontEnd:
    """Cells of conductance 0 to 255 codes, which a pulse moves by how far it is over a threshold.

    A cell starts unformed: SET and RESET do nothing until a FORM pulse of enough line code. A few
    of them are stuck, and never move. `log` holds every pulse and read of each cell in order.
    """

    def __init__(self, rows, columns, *, seed=1, formed=True, noise=2, spread=6):
        self.seed, self.noise, self.spread = seed, noise, spread
        self.columns = columns
        count = rows * columns
        cells = np.arange(count)
        kind = draws(seed, cells, np.full(count, 1 << 20), 50)
        self.stuck_low, self.stuck_high = kind < -46, kind > 46
        self.formed = np.full(count, formed)
        self.forms_at = 500 + draws(seed, cells, np.full(count, 1 << 21), 40)
        self.code = np.where(self.formed, 100 + draws(seed, cells, np.full(count, 3 << 20), 100), 0)
        self.pulses = np.zeros(count, np.int64)
        self.reads = np.zeros(count, np.int64)
        self.log = [[] for _ in range(count)]

    def pulse(self, tile, rows, columns, mode, word_line, line, width):
        cell = rows * self.columns + columns
        assert len(set(cell.tolist())) == len(cell)
        jitter = draws(self.seed, cell, 2 * self.pulses[cell], self.spread)
        self.pulses[cell] += 1
        strength = np.maximum(np.minimum(word_line - 300, line - 300), 0) * width // 64 + jitter
        strength = np.maximum(strength, 0)
        if mode == BiasMode.FORM:
            now_formed = (line >= self.forms_at[cell]) & ~self.formed[cell]
            self.formed[cell] |= now_formed
            self.code[cell] = np.where(now_formed, 200 + jitter, self.code[cell])
        else:
            change = strength if mode == BiasMode.SET else -strength
            self.code[cell] = np.where(
                self.formed[cell], np.clip(self.code[cell] + change, 0, 250), 0
            )
        for index, c in enumerate(cell.tolist()):
            self.log[c].append(
                (BiasMode(mode).name, int(word_line[index]), int(line[index]), width)
            )

    def read(self, tile, rows, columns):
        cell = rows * self.columns + columns
        noise = draws(self.seed, cell, 2 * self.reads[cell] + 1, self.noise)
        self.reads[cell] += 1
        code = np.where(self.stuck_low[cell], 0, self.code[cell])
        code = np.where(self.stuck_high[cell], 250, code)
        for c in cell.tolist():
            self.log[c].append("read")
        return np.clip(code + noise, 0, FULL_SCALE)
