"""The emulator's twin: the same tiles as `celosia.hdl.crossbar.emulator`, bit for bit, in numpy."""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import (
    ACCESS_BITS,
    CELL_PURPOSE,
    CONDUCTANCE_BITS,
    FAULT_PURPOSE,
    MASK,
    PRODUCT_PURPOSE,
    READ_PURPOSE,
    RESET_PURPOSE,
    SET_PURPOSE,
    SLOPE_FRACTION,
    SPREAD_FRACTION,
    EmulatorConfig,
)
from celosia.golden.crossbar.front_end import GAIN_ONE, WRITE_MODES, BiasMode

Integers = NDArray[np.int64]
_HIGHEST = (1 << CONDUCTANCE_BITS) - 1
_FIRST: Integers = np.zeros(1, np.int64)


def mix(word: Integers) -> Integers:
    """One round of R. Jenkins' one-at-a-time hash on 32-bit words (Dr. Dobb's, September 1997)."""
    word = (word + (word << 10)) & MASK
    return word ^ (word >> 6)


def hashed(seed: int, purpose: int, place: Integers, number: Integers) -> Integers:
    """32 bits for each (place, number): the one-at-a-time hash of four words, two rounds each."""
    word = mix(mix(np.full(1, seed + purpose, np.int64) & MASK))
    word = mix(mix((word + place) & MASK))
    word = mix(mix((word + number) & MASK))
    word = (word + (word << 3)) & MASK
    word ^= word >> 11
    return (word + (word << 15)) & MASK


def draw(seed: int, purpose: int, place: Integers, number: Integers) -> Integers:
    """A deviate from -510 to 510, nearly normal: the sum of four bytes less its mean."""
    word = hashed(seed, purpose, place, number)
    low, high = word & 0x00FF_00FF, (word >> 8) & 0x00FF_00FF
    both = low + high
    return (both & 0xFFFF) + (both >> 16) - 510


def scaled(deviate: Integers, spread: int | Integers, fraction: int = 0) -> Integers:
    """A deviate times spread / 2^(8 + fraction), rounded down."""
    return (deviate * spread) >> (SPREAD_FRACTION + fraction)


class EmulatorTwin:
    """A front end: tiles of emulated cells.

    Attributes:
        conductance: of every cell [tiles, rows, columns], 0 to 1023.
        formed: whether it conducts [tiles, rows, columns].
        pulses, reads: accesses so far, modulo 2^16.
        stuck_low, stuck_high: cells that conduct nothing, or all they can, whatever is done.
    """

    def __init__(self, config: CrossbarConfig, emulator: EmulatorConfig) -> None:
        self._config = config
        self._emulator = emulator
        shape = (config.tiles, config.rows, config.columns)
        self.conductance = np.zeros(shape, np.int64)
        self.formed = np.full(shape, not emulator.unformed)
        self.pulses = np.zeros(shape, np.int64)
        self.reads = np.zeros(shape, np.int64)
        chance = hashed(emulator.seed, FAULT_PURPOSE, self._places(shape), _FIRST) >> 16
        self.stuck_low = chance < emulator.stuck_low
        self.stuck_high = ~self.stuck_low & (chance < emulator.stuck_low + emulator.stuck_high)

    @staticmethod
    def _places(shape: tuple[int, ...]) -> Integers:
        return np.arange(np.prod(shape), dtype=np.int64).reshape(shape)

    def pulse(
        self,
        tile: int,
        rows: Integers,
        columns: Integers,
        mode: BiasMode,
        word_line: Integers,
        line: Integers,
        width: int,
    ) -> None:
        """One write pulse to each of the cells (rows [n], columns [n], no cell twice).

        In SAFE and READ it means nothing, as the port's contract has it.
        """
        if mode not in WRITE_MODES:
            return
        emulator, place = self._emulator, self._place(tile, rows, columns)
        cells = (tile, rows, columns)
        own = scaled(draw(emulator.seed, CELL_PURPOSE, place, _FIRST), emulator.device_spread)
        purpose, spread = (
            (RESET_PURPOSE, emulator.reset_spread)
            if mode == BiasMode.RESET
            else (SET_PURPOSE, emulator.set_spread)
        )
        deviate = scaled(draw(emulator.seed, purpose, place, self.pulses[cells]), spread)
        now = self.conductance[cells]
        if mode == BiasMode.RESET:
            aim = self._config.top - _slope(line - emulator.reset_on, emulator.reset_slope)
            moves = (aim + own + deviate < now) & self.formed[cells]
        else:
            code = line if emulator.set_by_line else word_line
            aim = _slope(code - emulator.set_on, emulator.set_slope)
            if mode == BiasMode.FORM:
                self.formed[cells] |= line >= emulator.form_line + own
            moves = (aim + own + deviate > now) & self.formed[cells]
        step = np.clip(aim + own + deviate, 0, _HIGHEST) - now
        share = min(width, 1 << emulator.full_width)
        step = (step * share) >> emulator.full_width
        self.conductance[cells] = np.where(moves, now + step, now)
        self.pulses[cells] = (self.pulses[cells] + 1) % (1 << ACCESS_BITS)

    def read(self, tile: int, rows: Integers, columns: Integers) -> Integers:
        """One conversion of each cell (rows [n], columns [n], no cell twice): codes [n]."""
        emulator, cells = self._emulator, (tile, rows, columns)
        place = self._place(tile, rows, columns)
        noise = scaled(
            draw(emulator.seed, READ_PURPOSE, place, self.reads[cells]),
            emulator.read_spread,
            emulator.noise_fraction,
        )
        self.reads[cells] = (self.reads[cells] + 1) % (1 << ACCESS_BITS)
        found = self.effective(tile)[rows, columns] + noise
        half = 1 << (SLOPE_FRACTION - 1)
        codes = (found * emulator.cell_gain + half) >> SLOPE_FRACTION
        clipped: Integers = np.clip(codes, 0, (1 << self._config.adc_bits) - 1)
        return clipped

    def product(
        self, tile: int, driven: NDArray[np.bool_], gain: int, sequence: Integers
    ) -> tuple[Integers, NDArray[np.bool_]]:
        """INTEGRATE of each row mask (driven [n, rows]) and CONVERT of all columns.

        Returns codes [n, columns] and whether each was saturated: at the converter's last code.
        """
        config, emulator = self._config, self._emulator
        # Exact in float64: sums stay below 2^18.
        sums = (driven.astype(np.float64) @ self.effective(tile)).astype(np.int64)
        place = tile * config.columns + np.arange(config.columns)
        deviate = draw(emulator.seed, PRODUCT_PURPOSE, place[None, :], sequence[:, None])
        spreads = emulator.product_spread * _root(sums)
        found = sums + scaled(deviate, spreads, emulator.noise_fraction)
        shift = SLOPE_FRACTION + CONDUCTANCE_BITS - config.cell_bits
        assert GAIN_ONE == 1 << SLOPE_FRACTION
        assert config.level_step == 1 << (shift - SLOPE_FRACTION)
        codes = (np.maximum(found, 0) * gain + (1 << (shift - 1))) >> shift
        highest = (1 << config.adc_bits) - 1
        return np.minimum(codes, highest), codes >= highest

    def write_cell(self, place: int, value: int) -> None:
        """What the back door writes: conductance, and behind it whether the cell was formed or not
        against what cells are at first, is stuck low, is stuck high. `place` counts cells."""
        self.conductance.flat[place] = value & _HIGHEST
        changed = bool(value >> CONDUCTANCE_BITS & 1)
        self.formed.flat[place] = changed == bool(self._emulator.unformed)
        self.stuck_low.flat[place] = value >> (CONDUCTANCE_BITS + 1) & 1
        self.stuck_high.flat[place] = value >> (CONDUCTANCE_BITS + 2) & 1

    def cells(self) -> Integers:
        """Every cell as `write_cell` takes it [tiles, rows, columns]."""
        changed = self.formed == bool(self._emulator.unformed)
        flags = changed | self.stuck_low << 1 | self.stuck_high << 2
        words: Integers = self.conductance | flags.astype(np.int64) << CONDUCTANCE_BITS
        return words

    def effective(self, tile: int) -> Integers:
        """What every cell of a tile conducts [rows, columns], faults included."""
        found = np.where(self.formed[tile], self.conductance[tile], 0)
        found = np.where(self.stuck_low[tile], 0, found)
        return np.where(self.stuck_high[tile], _HIGHEST, found)

    def _place(self, tile: int, rows: Integers, columns: Integers) -> Integers:
        config = self._config
        return (tile * config.rows + rows) * config.columns + columns


def _slope(codes: Integers, slope: int) -> Integers:
    """codes * slope, to the nearest whole conductance; nothing below the onset."""
    half = 1 << (SLOPE_FRACTION - 1)
    return (np.maximum(codes, 0) * slope + half) >> SLOPE_FRACTION


def _root(sums: Integers) -> Integers:
    """A power of two next to the root of a sum: 2^floor(bits / 2)."""
    bits = np.zeros_like(sums)
    for place in range(CONDUCTANCE_BITS + 9):
        bits = np.where(sums >> place > 0, place + 1, bits)
    return 1 << (bits >> 1)
