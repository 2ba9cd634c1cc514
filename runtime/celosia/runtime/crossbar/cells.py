"""Forming and programming many cells of a device with the controller's algorithm."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.config import CODE_BITS, VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.front_end import Biasing, BiasMode
from celosia.golden.crossbar.physics import CellFrontEnd
from celosia.golden.crossbar.programming import CellResults, Programmer, together
from celosia.golden.crossbar.recipe import limits_for, settings_for
from celosia.golden.errors import CelosiaError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BITS = (1, 2, 4)
"""Bits of a cell that a weight's magnitude divides into."""
MOST_CELLS = 1 << 20
"""Cells that an experiment may have: about a minute and a gigabyte."""
MOST_PASSIVE_CELLS = 1 << 14
"""The same of passive arrays, whose cells are taken one after the other: some minutes."""
_ROWS, _COLUMNS = 256, 128
_PASSIVE = 64


class SchemeName(StrEnum):
    """Schemes of PROGRAM as the command line names them."""

    ISPP = "ispp"
    COARSE_FINE = "coarse-fine"

    @property
    def scheme(self) -> Scheme:
        """The controller's."""
        return Scheme.STEP if self == SchemeName.ISPP else Scheme.COARSE_FINE


@dataclass(frozen=True)
class LevelReport:
    """How the cells of one level fared; conductances in uS."""

    level: int
    low_us: float
    high_us: float
    cells: int
    converged: float
    pulses_mean: float
    pulses_median: float
    mean_us: float
    sigma_us: float


@dataclass(frozen=True)
class ProgramReport:
    """How programming went.

    Attributes:
        device, cells, bits, scheme, seed: what was asked for.
        step_mv: word-line step of the SET ramp (the coarse one).
        converged: share of cells that ended in their window.
        kept: share of cells that are in it when all are programmed, as they are without the noise,
            lines and converters of reads.
        pulses_mean, pulses_median, pulses_p95: write pulses of a cell, those that failed included.
        set_pulses_mean: SET pulses among them.
        reads_mean: conversions of a cell.
        results: cells by `Result`.
        levels: the same level by level.
        conductances: of every cell afterwards, uS [cells].
        targets: its level [cells].
    """

    device: str
    cells: int
    bits: int
    scheme: SchemeName
    seed: int
    step_mv: float
    converged: float
    kept: float
    pulses_mean: float
    pulses_median: float
    pulses_p95: float
    set_pulses_mean: float
    reads_mean: float
    results: dict[str, int]
    levels: tuple[LevelReport, ...]
    conductances: FloatArray
    targets: IntArray

    def to_json(self) -> dict[str, Any]:
        """All but the cells themselves."""
        return {
            **{
                key: value for key, value in vars(self).items() if not isinstance(value, np.ndarray)
            },
            "scheme": str(self.scheme),
            "levels": [asdict(level) for level in self.levels],
        }


@dataclass(frozen=True)
class FormReport:
    """How forming went.

    Attributes:
        device, cells, seed: what was asked for.
        formed: share of cells that formed.
        converged: share that the RESET after forming brought to the lowest level.
        voltage_mean, voltage_sigma, voltage_lowest, voltage_highest: bit-line voltage at which a
            cell formed, V.
        formed_median_us, formed_median_ohm: what forming left, before the RESET.
        pulses_mean: pulses of a cell, forming and RESET.
        results: cells by `Result`.
        voltages: bit-line voltages, V, and conductances [formed cells], uS.
    """

    device: str
    cells: int
    seed: int
    formed: float
    converged: float
    voltage_mean: float
    voltage_sigma: float
    voltage_lowest: float
    voltage_highest: float
    formed_median_us: float
    formed_median_ohm: float
    pulses_mean: float
    results: dict[str, int]
    voltages: FloatArray
    conductances: FloatArray

    def to_json(self) -> dict[str, Any]:
        """All but the cells themselves."""
        return {
            key: value for key, value in vars(self).items() if not isinstance(value, np.ndarray)
        }


def program_cells(
    device: Device,
    *,
    cells: int = 32768,
    bits: int = 2,
    scheme: SchemeName = SchemeName.ISPP,
    seed: int = 1,
    step_mv: float | None = None,
) -> ProgramReport:
    """Program formed cells to all levels in turn, as the controller does it.

    Cells are read by a converter of 12 bits, as by a lab's instrument.

    Raises:
        CelosiaError: a number is out of range, or the device has no such levels or scheme.
    """
    config = _config(device, cells, bits, seed)
    step_v = None if step_mv is None else step_mv / 1000
    settings = settings_for(device, config, scheme.scheme, step_v)
    front_end = CellFrontEnd(config, device, seed)
    front_end.cells.form()
    programmer = Programmer(front_end, config, settings)
    targets = np.arange(cells) % config.levels
    ended = together(
        [
            programmer.program(tile, rows, columns, targets[first : first + len(rows)])
            for tile, first, rows, columns in _tiles(config, cells)
        ]
    )
    conductances = front_end.cells.conductances(np.arange(cells))
    recipe = device.step if scheme == SchemeName.ISPP else device.coarse_fine
    assert recipe is not None
    return ProgramReport(
        device=device.name,
        cells=cells,
        bits=bits,
        scheme=scheme,
        seed=seed,
        step_mv=1000 * recipe.set.gate_v[2] if step_mv is None else step_mv,
        converged=_share(ended.result == Result.CONVERGED),
        kept=_share(_in_windows(device, bits, targets, conductances)),
        pulses_mean=float(ended.pulses.mean()),
        pulses_median=float(np.median(ended.pulses)),
        pulses_p95=float(np.percentile(ended.pulses, 95)),
        set_pulses_mean=float(ended.set_pulses.mean()),
        reads_mean=float(ended.reads.mean()),
        results=_counts(ended.result),
        levels=_levels(device, bits, targets, ended, conductances),
        conductances=conductances,
        targets=targets,
    )


def form_cells(device: Device, *, cells: int = 4096, seed: int = 1) -> FormReport:
    """Form fresh cells, and RESET them, as the controller does it.

    Raises:
        CelosiaError: a number is out of range.
    """
    config = _config(device, cells, 1, seed)
    front_end = _FormingFrontEnd(config, device, seed)
    programmer = Programmer(front_end, config, settings_for(device, config, Scheme.STEP))
    ended = together(
        [programmer.form(tile, rows, columns) for tile, _, rows, columns in _tiles(config, cells)]
    )
    formed = front_end.cells.formed[:cells]
    if not formed.any():
        raise CelosiaError(f"the form ramp of {device.name} must be able to form at least one cell")
    voltages = front_end.formed_at[:cells][formed]
    left = front_end.formed_us[:cells][formed]
    median = float(np.median(left))
    return FormReport(
        device=device.name,
        cells=cells,
        seed=seed,
        formed=_share(formed),
        converged=_share(ended.result == Result.CONVERGED),
        voltage_mean=float(voltages.mean()),
        voltage_sigma=float(voltages.std()),
        voltage_lowest=float(voltages.min()),
        voltage_highest=float(voltages.max()),
        formed_median_us=median,
        formed_median_ohm=1e6 / median,
        pulses_mean=float(ended.pulses.mean()),
        results=_counts(ended.result),
        voltages=voltages,
        conductances=left,
    )


class _FormingFrontEnd(CellFrontEnd):
    """Notes at which bit-line voltage each cell formed, and what conductance that left."""

    def __init__(self, config: CrossbarConfig, device: Device, seed: int) -> None:
        super().__init__(config, device, seed)
        self.formed_at = np.zeros(len(self.cells))
        self.formed_us = np.zeros(len(self.cells))

    def pulse(
        self,
        tile: int,
        rows: IntArray,
        columns: IntArray,
        mode: BiasMode,
        word_line: IntArray,
        line: IntArray,
        width: int,
    ) -> None:
        cells = self.numbers(tile, rows, columns)
        fresh = ~self.cells.formed[cells]
        super().pulse(tile, rows, columns, mode, word_line, line, width)
        new = fresh & self.cells.formed[cells]
        self.formed_at[cells[new]] = line[new] * VOLTS_PER_CODE
        self.formed_us[cells[new]] = self.cells.programmed[cells[new]]


def _config(device: Device, cells: int, bits: int, seed: int) -> CrossbarConfig:
    """Tiles of 256 x 128 cells, or passive ones of 64 x 64, as many as it takes, with the limits
    that the device needs."""
    passive = device.biasing != Biasing.TRANSISTOR
    most = MOST_PASSIVE_CELLS if passive else MOST_CELLS
    if not 1 <= cells <= most:
        where = " in a passive array" if passive else ""
        raise CelosiaError(f"cells{where} must be from 1 to {most}, not {cells}")
    if bits not in BITS:
        raise CelosiaError(f"bits must be 1, 2 or 4, not {bits}")
    if not 0 <= seed < 1 << 48:
        raise CelosiaError(f"seed must be from 0 to 2**48 - 1, not {seed}")
    rows, columns = (_PASSIVE, _PASSIVE) if passive else (_ROWS, _COLUMNS)
    return CrossbarConfig(
        tiles=-(-cells // (rows * columns)),
        rows=rows,
        outputs=columns * bits // 16,
        spares=0,
        cell_bits=bits,
        adc_bits=CODE_BITS,
        adcs=1,
        **limits_for(device),
    )


def _tiles(config: CrossbarConfig, cells: int) -> list[tuple[int, int, IntArray, IntArray]]:
    """Tile, its first cell, and rows and columns of its cells."""
    of_tile = config.rows * config.columns
    tiles = []
    for tile, first in enumerate(range(0, cells, of_tile)):
        rows, columns = np.divmod(np.arange(min(of_tile, cells - first)), config.columns)
        tiles.append((tile, first, rows, columns))
    return tiles


def _levels(
    device: Device, bits: int, targets: IntArray, ended: CellResults, conductances: FloatArray
) -> tuple[LevelReport, ...]:
    windows = device.level_windows(bits)
    reports = []
    for level, (low_us, high_us) in enumerate(zip(windows.low_us, windows.high_us, strict=True)):
        mine = targets == level
        if not mine.any():
            continue
        reports.append(
            LevelReport(
                level=level,
                low_us=low_us,
                high_us=high_us,
                cells=int(mine.sum()),
                converged=_share(ended.result[mine] == Result.CONVERGED),
                pulses_mean=float(ended.pulses[mine].mean()),
                pulses_median=float(np.median(ended.pulses[mine])),
                mean_us=float(conductances[mine].mean()),
                sigma_us=float(conductances[mine].std()),
            )
        )
    return tuple(reports)


def _in_windows(
    device: Device, bits: int, targets: IntArray, conductances: FloatArray
) -> NDArray[np.bool_]:
    windows = device.level_windows(bits)
    low, high = np.array(windows.low_us)[targets], np.array(windows.high_us)[targets]
    inside: NDArray[np.bool_] = (low <= conductances) & (conductances <= high)
    return inside


def _counts(results: IntArray) -> dict[str, int]:
    return {result.name.lower(): int((results == result).sum()) for result in Result}


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean())
