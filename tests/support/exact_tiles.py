"""Tiles whose conductances are whole levels, behind a converter without any error but its range."""

import numpy as np

from celosia.golden.crossbar.front_end import GAIN_ONE


class ExactTiles:
    """A front end for products only: levels [tiles, rows, columns]."""

    def __init__(self, config, levels):
        self.config = config
        self.levels = np.asarray(levels)
        self.sequences = []

    def product(self, tile, driven, gain, sequence):
        """Codes [n, columns] of row masks [n, rows], and whether each was saturated."""
        self.sequences += [int(s) for s in sequence]
        sums = driven.astype(np.int64) @ self.levels[tile]
        codes = (sums * gain + GAIN_ONE // 2) // GAIN_ONE
        highest = (1 << self.config.adc_bits) - 1
        return np.minimum(codes, highest), codes >= highest
