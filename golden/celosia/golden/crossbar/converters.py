"""Converters as they are: offset, gain, nonlinearity and noise of the ADCs, spread of the drivers
of reads, and of the DACs of writes.

Errors of an ADC are in codes, those of a driver in shares of the read voltage. Converter a of a
tile gives the codes of every column whose number leaves a when divided by `adcs`. A tile has two
DACs: that of its word lines, and that of its bit and source lines.
"""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.devices.draws import Purpose, normals
from celosia.golden.errors import CelosiaError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_S_PEAK = 6 * math.sqrt(3)
"""Brings the largest value of u (1 - u) (1 - 2u) to 1."""


@dataclass(frozen=True, kw_only=True)
class Converters:
    """Errors of ADCs, drivers and DACs; by default they have none. Spreads are standard deviations.

    Attributes:
        offset, offset_spread: codes that an ADC adds: all of them, and one more than another. A
            code can't be negative: an offset below 0 can't be measured with nothing driven, which
            is why real front ends add one on purpose.
        gain, gain_spread: what an ADC multiplies by: all of them, and how much they differ.
        inl: spread of an ADC's integral nonlinearity, codes: a bow and an S through both ends of
            its range, each with a deviate of its own as its peak.
        noise: codes that two conversions of the same input differ by.
        driver_gain_spread: how much the read voltages of rows differ.
        driver_offset_spread: what rows are driven with too much or too little, driven or not.
        dac_gain_spread, dac_offset_v: how much the voltages of writes differ from their codes, from
            one DAC to another: a share, and V (a standard deviation too).

    Raises:
        CelosiaError: a value is no finite number, or is negative and not `offset`, or gain is 0.
    """

    offset: float = 0.0
    offset_spread: float = 0.0
    gain: float = 1.0
    gain_spread: float = 0.0
    inl: float = 0.0
    noise: float = 0.0
    driver_gain_spread: float = 0.0
    driver_offset_spread: float = 0.0
    dac_gain_spread: float = 0.0
    dac_offset_v: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or (value < 0 and entry.name != "offset"):
                wanted = "a number" if entry.name == "offset" else "a number from 0 up"
                raise CelosiaError(f"converters.{entry.name} must be {wanted}, not {value!r}")
        if self.gain == 0:
            raise CelosiaError(f"converters.gain must be above 0, not {self.gain!r}")


IDEAL_CONVERTERS = Converters()


class ConverterBank:
    """The converters and drivers of all tiles, drawn once from the seed of the tiles.

    Args:
        config: sizes.
        converters: what they are like.
        seed: of everything that is drawn.

    Attributes:
        quiet: whether code 0 is all that comes of rows that aren't driven.
    """

    def __init__(self, config: CrossbarConfig, converters: Converters, seed: int) -> None:
        self._converters, self._seed = converters, seed
        self._highest = (1 << config.adc_bits) - 1
        # What is ideal costs no time: products are most of what a network's accuracy takes.
        self._ideal = replace(converters, noise=0.0) == IDEAL_CONVERTERS
        self._ideal_drivers = not (converters.driver_gain_spread or converters.driver_offset_spread)
        self.quiet = converters == IDEAL_CONVERTERS
        adcs = np.arange(config.tiles * config.adcs)
        rows = np.arange(config.tiles * config.rows)

        def drawn(purpose: Purpose, which: IntArray, spread: float) -> FloatArray:
            return spread * normals(seed, purpose, which, 0)

        of_column = (
            np.arange(config.tiles)[:, None] * config.adcs + np.arange(config.columns) % config.adcs
        )
        gain = converters.gain * (1 + drawn(Purpose.ADC_GAIN, adcs, converters.gain_spread))
        offset = converters.offset + drawn(Purpose.ADC_OFFSET, adcs, converters.offset_spread)
        self._gain, self._offset = gain[of_column], offset[of_column]
        self._bow = drawn(Purpose.ADC_BOW, adcs, converters.inl)[of_column]
        self._s = drawn(Purpose.ADC_S, adcs, converters.inl)[of_column]
        shape = (config.tiles, config.rows)
        self._driver_gain = 1 + drawn(
            Purpose.DRIVER_GAIN, rows, converters.driver_gain_spread
        ).reshape(shape)
        self._driver_offset = drawn(
            Purpose.DRIVER_OFFSET, rows, converters.driver_offset_spread
        ).reshape(shape)

        dacs = np.arange(2 * config.tiles)
        self._dac_gain = 1 + drawn(Purpose.DAC_GAIN, dacs, converters.dac_gain_spread)
        self._dac_offset = drawn(Purpose.DAC_OFFSET, dacs, converters.dac_offset_v)

    def write_volts(
        self, tile: int, word_line: IntArray, line: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """What a tile's DACs make of codes [n] of its word lines, and of its other lines, V [n].

        Code 0 is ground.
        """
        found = []
        for dac, codes in ((2 * tile, word_line), (2 * tile + 1, line)):
            exact = codes.astype(np.float64) * VOLTS_PER_CODE
            volts = exact * self._dac_gain[dac] + self._dac_offset[dac]
            found.append(np.where(codes > 0, np.maximum(volts, 0.0), 0.0))
        return found[0], found[1]

    def voltages(self, tile: int, driven: NDArray[np.bool_]) -> FloatArray:
        """What rows [n, rows] are held at, in read voltages."""
        if self._ideal_drivers:
            return driven.astype(np.float64)
        volts: FloatArray = driven * self._driver_gain[tile] + self._driver_offset[tile]
        return volts

    def selected(self, tile: int, rows: IntArray) -> FloatArray:
        """What each of rows [n] is held at when it is the one that is driven, in read voltages."""
        volts: FloatArray = self._driver_gain[tile, rows] + self._driver_offset[tile, rows]
        return volts

    def products(self, tile: int, exact: FloatArray, sequence: IntArray) -> IntArray:
        """Codes [n, columns] of the inputs `exact` [n, columns], in codes, of products [n]."""
        noise = self._converters.noise
        if noise:
            column = tile * self._gain.shape[1] + np.arange(self._gain.shape[1])
            deviates = normals(self._seed, Purpose.PRODUCT_CONVERSION, column, sequence[:, None])
            exact = exact + noise * deviates
        return self._codes(exact, tile, slice(None))

    def reads(
        self, tile: int, exact: FloatArray, columns: IntArray, cells: IntArray, access: IntArray
    ) -> IntArray:
        """Codes [n] of the inputs `exact` [n], in codes, of cells at their access'th read."""
        noise = self._converters.noise
        if noise:
            exact = exact + noise * normals(self._seed, Purpose.READ_CONVERSION, cells, access)
        return self._codes(exact, tile, columns)

    def _codes(self, exact: FloatArray, tile: int, columns: IntArray | slice) -> IntArray:
        found = exact
        if not self._ideal:
            found = exact * self._gain[tile, columns] + self._offset[tile, columns]
        if self._converters.inl:
            u = np.clip(found / self._highest, 0, 1)
            both = self._bow[tile, columns] * 4 + self._s[tile, columns] * _S_PEAK * (1 - 2 * u)
            found = found + u * (1 - u) * both
        found = np.rint(found)
        np.clip(found, 0, self._highest, out=found)
        codes: IntArray = found.astype(np.int64)
        return codes
