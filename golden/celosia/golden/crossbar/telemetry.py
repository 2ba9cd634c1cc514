"""What the controller has counted and found, and where software reads it: the status port.

A word of 32 bits is read by its address, `STATUS_LATENCY` cycles after the address was given, at
any time. Addresses count words; `status_regions` says where each region begins, which depends on
the configuration. Reset leaves all of it as it is; the commands CLEAR and RENEW don't.

The map has rows + 1 lines for each tile: a line for each row, with a bit for each of its cells that
is defective, and a last one with a bit for each column that CALIBRATE couldn't calibrate. A line
takes `line_words` words, the lowest bit of the first word is column 0.

BIST writes a cell's bit either way; FORM, PROGRAM and SCRUB enter cells that don't converge, and
take none out. Cells that were ABORTED, and those that weren't tried, stay as they were.
"""

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.corrections import CorrectionField, CorrectionWrite
from celosia.golden.crossbar.front_end import BiasMode, FrontEnd
from celosia.golden.crossbar.mvm import Telemetry
from celosia.golden.crossbar.programming import CellResults
from celosia.golden.crossbar.repair import defects_of

Integers = NDArray[np.int64]

STATUS_LATENCY = 2
"""Cycles from an address to its word."""
WORD_BITS = 32
DRIVE_SUM_BITS = 48
"""Width of the sum of `drive`."""
WEAR_BITS = 24
"""Width of a row's count of pulses, which stays at its end: far above what its cells endure."""
COUNTED_RESULTS = tuple(result for result in Result if result < Result.UNCALIBRATED)
"""Results of cells, each with a counter."""
ENTERING = (Command.FORM, Command.PROGRAM, Command.SCRUB, Command.BIST)
"""Commands whose results enter the map."""


class Counter(IntEnum):
    """Counters, modulo 2^32, by address. All are zero after CLEAR.

    The number of a product, from which models draw its noise, is the sum of PRODUCTS, PROBES and
    DROPPED, if nothing was cleared or reset since the start.
    """

    FORM_PULSES = 0
    """Pulses of mode FORM, cut ones too."""
    SET_PULSES = 1
    """Those of SET."""
    RESET_PULSES = 2
    """Those of RESET."""
    READS = 3
    """Conversions of single cells."""
    PRODUCTS = 4
    """Products that gave their sums."""
    PROBES = 5
    """Masks that CALIBRATE and COMPENSATE drove."""
    DROPPED = 6
    """Products that an abort dropped."""
    INTEGRATIONS = 7
    """Integrations of products and probes, each with a conversion of every column."""
    REISSUES = 8
    """Input bits that were issued again, in halves, because a column in use was saturated."""
    SATURATIONS = 9
    """Columns in use that were still saturated in a half."""
    DRIVE_LOW = 10
    """Energy proxy: line code times units of width, summed over all pulses, bits 0-31."""
    DRIVE_HIGH = 11
    """Bits 32-47 of it; to be read before and after the lower ones."""
    CONVERGED = 16
    """Cells that FORM, PROGRAM, READ, SCRUB or BIST answered with CONVERGED."""
    STUCK_LOW = 17
    """Cells answered with STUCK_LOW."""
    STUCK_HIGH = 18
    """Cells answered with STUCK_HIGH."""
    OSCILLATING = 19
    """Cells answered with OSCILLATING."""
    TIMEOUT = 20
    """Cells answered with TIMEOUT."""
    UNFORMED = 21
    """Cells answered with UNFORMED."""
    ABORTED = 22
    """Cells answered with ABORTED, and commands that couldn't be."""


PULSE_COUNTERS = {
    BiasMode.FORM: Counter.FORM_PULSES,
    BiasMode.SET: Counter.SET_PULSES,
    BiasMode.RESET: Counter.RESET_PULSES,
}
RESULT_BASE = Counter.CONVERGED
"""Result r of a cell is counted at RESULT_BASE + r."""
COUNTER_WORDS = 32


class StatusRegion(IntEnum):
    """What stands behind the status port, in the order of addresses."""

    COUNTERS = 0
    """`Counter`."""
    WEAR = 1
    """Pulses of each row, at tile x rows + row; they stay at their end."""
    MAP = 2
    """The map of defects: word w of line l of tile t is at
    (t x (rows + 1) + l) x line_words + w, where line_words is columns / 32, rounded up."""
    CALIBRATION = 3
    """What CALIBRATE or COMPENSATE wrote last, of whatever tile: the gain of column c at 2 c, its
    offset at 2 c + 1 (20 bits, two's complement); behind the columns the scale, and the shift."""


def calibration_words(config: CrossbarConfig) -> int:
    """Words of region CALIBRATION."""
    return 2 * config.columns + 2


def line_words(config: CrossbarConfig) -> int:
    """Words of a line of the map."""
    return -(-config.columns // WORD_BITS)


def status_regions(config: CrossbarConfig) -> dict[StatusRegion, range]:
    """Addresses of each region, which begins at a multiple of a power of two not below its size."""
    sizes = {
        StatusRegion.COUNTERS: COUNTER_WORDS,
        StatusRegion.WEAR: config.tiles * config.rows,
        StatusRegion.MAP: config.tiles * (config.rows + 1) * line_words(config),
        StatusRegion.CALIBRATION: calibration_words(config),
    }
    regions, free = {}, 0
    for region in StatusRegion:
        room = 1 << (sizes[region] - 1).bit_length()
        first = -(-free // room) * room
        regions[region] = range(first, first + sizes[region])
        free = first + sizes[region]
    return regions


def status_address_bits(config: CrossbarConfig) -> int:
    """Width of an address."""
    return (max(region.stop for region in status_regions(config).values()) - 1).bit_length()


class TelemetryTwin:
    """Counts from golden results what the gateware counts from strobes.

    Attributes:
        counters: values by address [COUNTER_WORDS], but for those of products.
        wear: pulses of each row [tiles, rows].
        defects: the map's lines of rows [tiles, rows, columns].
        uncalibrated: its last lines [tiles, columns].
        drive: the energy proxy.
        calibration: words of region CALIBRATION.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        self.counters = np.zeros(COUNTER_WORDS, np.int64)
        self.wear = np.zeros((config.tiles, config.rows), np.int64)
        self.defects = np.zeros((config.tiles, config.rows, config.columns), bool)
        self.uncalibrated = np.zeros((config.tiles, config.columns), bool)
        self.drive = 0
        self.calibration = np.zeros(calibration_words(config), np.int64)

    def pulses(self, tile: int, rows: Integers, mode: BiasMode, line: Integers, width: int) -> None:
        """Pulses on cells of rows [n], with line codes [n]."""
        self.counters[PULSE_COUNTERS[mode]] += len(rows)
        self.drive += int(line.sum()) * width
        np.add.at(self.wear[tile], rows, 1)

    def cells(self, command: Command, tile: int, results: CellResults) -> None:
        """Results of a command on cells."""
        np.add.at(self.counters, RESULT_BASE + results.result, 1)
        if command not in ENTERING:
            return
        bad = defects_of(results, self._config)
        if command is Command.BIST:
            tested = results.result != Result.ABORTED
            self.defects[tile, results.rows[tested], results.columns[tested]] = False
        self.defects[tile] |= bad

    def corrected(self, entries: Iterable[CorrectionWrite]) -> None:
        """Entries that CALIBRATE or COMPENSATE wrote."""
        columns = self._config.columns
        for entry in entries:
            match entry.field:
                case CorrectionField.COLUMN_GAIN:
                    self.calibration[2 * entry.place] = entry.value
                case CorrectionField.COLUMN_OFFSET:
                    self.calibration[2 * entry.place + 1] = entry.value
                case CorrectionField.SCALE:
                    self.calibration[2 * columns] = entry.value
                case CorrectionField.SHIFT:
                    self.calibration[2 * columns + 1] = entry.value

    def refused(self) -> None:
        """A command on cells that couldn't be."""
        self.counters[Counter.ABORTED] += 1

    def clear(self) -> None:
        """What CLEAR does."""
        self.counters[:] = 0
        self.drive = 0

    def renew(self, tile: int) -> None:
        """What RENEW does."""
        self.wear[tile] = 0
        self.defects[tile] = self.uncalibrated[tile] = False

    def words(self, products: Telemetry) -> dict[StatusRegion, Integers]:
        """Every word of each region, with the counts of products since CLEAR."""
        counters = self.counters.copy()
        counters[Counter.PRODUCTS] = products.products - products.probes
        counters[Counter.PROBES] = products.probes
        counters[Counter.INTEGRATIONS] = products.integrations
        counters[Counter.REISSUES] = products.reissues
        counters[Counter.SATURATIONS] = products.saturations
        drive = self.drive % (1 << DRIVE_SUM_BITS)
        counters[Counter.DRIVE_HIGH], counters[Counter.DRIVE_LOW] = divmod(drive, 1 << WORD_BITS)
        lines = np.concatenate([self.defects, self.uncalibrated[:, None]], axis=1)
        padded = np.zeros((*lines.shape[:2], line_words(self._config) * WORD_BITS), bool)
        padded[..., : lines.shape[2]] = lines
        places = 1 << np.arange(WORD_BITS, dtype=np.int64)
        return {
            StatusRegion.COUNTERS: counters % (1 << WORD_BITS),
            StatusRegion.WEAR: np.minimum(self.wear, (1 << WEAR_BITS) - 1).reshape(-1),
            StatusRegion.MAP: (padded.reshape(-1, WORD_BITS) * places).sum(axis=1),
            StatusRegion.CALIBRATION: self.calibration,
        }


class CountedFrontEnd:
    """A front end whose accesses are counted on their way."""

    def __init__(self, front_end: FrontEnd, telemetry: TelemetryTwin) -> None:
        self._front_end = front_end
        self._telemetry = telemetry
        self.interacting = getattr(front_end, "interacting", False)

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
        """One write pulse to each of the cells."""
        self._telemetry.pulses(tile, rows, mode, line, width)
        self._front_end.pulse(tile, rows, columns, mode, word_line, line, width)

    def read(self, tile: int, rows: Integers, columns: Integers) -> Integers:
        """One conversion of each cell."""
        self._telemetry.counters[Counter.READS] += len(rows)
        return self._front_end.read(tile, rows, columns)

    def product(
        self, tile: int, driven: NDArray[np.bool_], gain: int, sequence: Integers
    ) -> tuple[Integers, NDArray[np.bool_]]:
        """Codes [n, columns] of row masks, and whether each was saturated."""
        return self._front_end.product(tile, driven, gain, sequence)
