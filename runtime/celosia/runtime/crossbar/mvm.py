"""One tile's product with random vectors, beside the exact one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.calibration import calibrate, measure_unsaturated, range_for
from celosia.golden.crossbar.config import CrossbarConfig, WeightMapping
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, TileCorrection, gain_for, plain_correction
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.writing import leak_of, write_levels
from celosia.golden.errors import CelosiaError

MAXIMUM_VECTORS = 10_000
MAXIMUM_SECONDS = 1e9
MAXIMUM_OHM = 1e6
_CALIBRATION = 64
"""Vectors that set the converters' range: others than those that are measured."""


@dataclass(frozen=True)
class MvmSetup:
    """What is multiplied, and by what.

    Attributes:
        rows, outputs: inputs and int8 weights in a row of the tile.
        cell_bits, adc_bits: of cells and converters.
        vectors: random inputs, each 0 to 255.
        mapping: how columns stand for weights.
        line_ohm: of each segment of a row and of a column; the device's own lines where None.
        seconds: between programming and the products.
        calibrated: whether the converters' range fits the sums that occur, and columns have the
            gain and offset that a measurement gives. Else the range holds any sum.
        seed: of weights, inputs and all that the cells draw.

    Raises:
        CelosiaError: a value can't be.
    """

    rows: int = 64
    outputs: int = 8
    cell_bits: int = 4
    adc_bits: int = 8
    vectors: int = 100
    mapping: WeightMapping = WeightMapping.DIFFERENTIAL
    line_ohm: float | None = None
    seconds: float = 1.0
    calibrated: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.vectors <= MAXIMUM_VECTORS:
            raise CelosiaError(f"vectors must be from 1 to {MAXIMUM_VECTORS}, not {self.vectors}")
        if self.line_ohm is not None and not 0 <= self.line_ohm <= MAXIMUM_OHM:
            raise CelosiaError(
                f"line resistance must be from 0 to {MAXIMUM_OHM:g} ohm, not {self.line_ohm:g}"
            )
        if not 0 <= self.seconds <= MAXIMUM_SECONDS:
            raise CelosiaError(
                f"time must be from 0 to {MAXIMUM_SECONDS:g} s, not {self.seconds:g}"
            )

    def sizes(self) -> CrossbarConfig:
        """One tile of these sizes, without spares."""
        return CrossbarConfig(
            rows=self.rows,
            outputs=self.outputs,
            spares=0,
            cell_bits=self.cell_bits,
            adc_bits=self.adc_bits,
            adcs=1,
            mapping=self.mapping,
        )


@dataclass(frozen=True)
class MvmReport:
    """What came of it.

    Attributes:
        device: name of it.
        setup: as asked.
        columns: of cells.
        lines: resistances of its lines.
        adc_gain: gain code of the conversions.
        exact, found: sums [vectors, outputs], in units of input times weight.
        conductances: of the cells when the products were made [rows, columns], uS.
        quantisation: relative error of the same product on ideal cells: what converters do alone.
        conversions, reissues, saturations: of the measured products, as `Telemetry` counts them.
    """

    device: str
    setup: MvmSetup
    columns: int
    lines: Lines
    adc_gain: int
    exact: NDArray[np.int64]
    found: NDArray[np.int64]
    conductances: NDArray[np.float64]
    quantisation: float
    conversions: int
    reissues: int
    saturations: int

    @property
    def errors(self) -> NDArray[np.int64]:
        """Of each sum [vectors, outputs]."""
        return self.found - self.exact

    @property
    def error_rms(self) -> float:
        """Root of the mean square of the errors."""
        return _rms(self.errors)

    @property
    def error_relative(self) -> float:
        """The same, as a share of the root mean square of the exact sums."""
        return _relative(self.found, self.exact)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "device": self.device,
            **vars(self.setup),
            "line_ohm": self.lines.row,
            "columns": self.columns,
            "adc_gain": self.adc_gain,
            "error_rms": self.error_rms,
            "error_relative": self.error_relative,
            "error_largest": int(np.abs(self.errors).max()),
            "quantisation_relative": self.quantisation,
            "conversions": self.conversions,
            "reissues": self.reissues,
            "saturations": self.saturations,
            "exact": self.exact.tolist(),
            "found": self.found.tolist(),
        }


def multiply_once(device: Device, setup: MvmSetup) -> MvmReport:
    """Program a tile with random weights, let time pass, calibrate if wanted, and multiply.

    Cells are put at their levels with the error that programming leaves.

    Raises:
        CelosiaError: the sizes can't be.
    """
    config = setup.sizes()
    rng = np.random.default_rng(setup.seed)
    weights = rng.integers(-127, 128, (setup.rows, setup.outputs)).astype(np.int8)
    inputs, samples = (
        rng.integers(-128, 128, (count, setup.rows)).astype(np.int8)
        for count in (setup.vectors, _CALIBRATION)
    )
    exact = (inputs.astype(np.int64) + 128) @ weights.astype(np.int64)
    lines = device.lines
    if setup.line_ohm is not None:
        lines = replace(lines, row=setup.line_ohm, column=setup.line_ohm)
    physics, multiplier, correction = _prepared(
        Physics(config, device, setup.seed, lines=lines), weights, samples, setup
    )
    before = vars(multiplier.telemetry).copy()
    found = multiplier.multiply(0, correction, inputs, unsigned=True).astype(np.int64)
    counts = {name: value - before[name] for name, value in vars(multiplier.telemetry).items()}
    _, ideal, plain = _prepared(
        Physics(config, load_device("ideal"), setup.seed), weights, samples, setup
    )
    perfect = ideal.multiply(0, plain, inputs, unsigned=True).astype(np.int64)
    return MvmReport(
        device=device.name,
        setup=setup,
        columns=config.columns,
        lines=lines,
        adc_gain=correction.adc_gain,
        exact=exact,
        found=found,
        conductances=physics.cells.conductances().reshape(config.rows, config.columns),
        quantisation=_relative(perfect, exact),
        conversions=counts["conversions"],
        reissues=counts["reissues"],
        saturations=counts["saturations"],
    )


def _prepared(
    physics: Physics,
    weights: NDArray[np.int8],
    samples: NDArray[np.int8],
    setup: MvmSetup,
) -> tuple[Physics, Multiplier, TileCorrection]:
    """The programmed tile, its multiplier and what corrects it."""
    config = physics.config
    levels = levels_of(weights, config)
    write_levels(physics, [levels])
    physics.cells.wait(setup.seconds)
    multiplier = Multiplier(physics, config)
    if not setup.calibrated:
        gain = gain_for(config.rows * (config.levels - 1), config)
        return physics, multiplier, plain_correction(config, gain)
    gain = range_for(multiplier, 0, samples, unsigned=True)
    correction, _ = calibrate(
        plain_correction(config, gain),
        measure_unsaturated(multiplier, 0, gain),
        levels,
        leak=leak_of(physics.device, physics.config),
    )
    return physics, multiplier, correction


def _rms(values: NDArray[np.int64]) -> float:
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))


def _relative(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    return _rms(found - exact) / max(_rms(exact), 1.0)
