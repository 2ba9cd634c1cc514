"""Errors of products through converters of some bits, range and faults, calibrated and not.

One tile of the ideal device, 256 rows and 8 outputs, random weights and inputs; errors are the root
mean square of the sums' errors in % of that of the sums, over several tiles.
"""

from typing import Any

import numpy as np

from celosia.golden.crossbar.calibration import calibrate, measure, range_for
from celosia.golden.crossbar.config import CrossbarConfig, WeightMapping
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS, Converters
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, gain_for, plain_correction
from celosia.golden.crossbar.physics import Physics

ROWS, OUTPUTS, VECTORS = 256, 8, 100
SEEDS = range(1, 4)
PARTS, AVERAGE = 4, 4
IDEAL = load_device("ideal")

FAULTS = {
    "none": IDEAL_CONVERTERS,
    "noise 0.5": Converters(noise=0.5),
    "offset 3 ± 1, noise 0.5": Converters(offset=3.0, offset_spread=1.0, noise=0.5),
    "offset 0 ± 3, noise 0.5": Converters(offset_spread=3.0, noise=0.5),
    "offset 10 ± 3, noise 0.5": Converters(offset=10.0, offset_spread=3.0, noise=0.5),
    "gain ± 2 %": Converters(gain_spread=0.02),
    "gain ± 5 %": Converters(gain_spread=0.05),
    "drivers' gain ± 2 %": Converters(driver_gain_spread=0.02),
    "drivers' offset ± 0.2 %": Converters(driver_offset_spread=0.002),
    "INL 0.5": Converters(inl=0.5),
}


def errors(
    adc_bits: int,
    converters: Converters,
    seed: int,
    share: float = 0.0,
    mapping: WeightMapping = WeightMapping.DIFFERENTIAL,
) -> tuple[float, float, float]:
    """In %: with the widest range, with one that fits, and with that one and calibrated columns.

    `share` of the conversions may saturate.
    """
    config = CrossbarConfig(
        rows=ROWS, outputs=OUTPUTS, spares=0, adc_bits=adc_bits, adcs=2, mapping=mapping
    )
    generator = np.random.default_rng(seed)
    weights = np.clip(np.rint(generator.normal(0, 40, (ROWS, OUTPUTS))), -127, 127).astype(np.int8)
    inputs, samples = (
        (np.maximum(generator.normal(0, 50, (VECTORS, ROWS)), 0).clip(0, 255) - 128).astype(np.int8)
        for _ in range(2)
    )
    exact = (inputs.astype(np.int64) + 128) @ weights.astype(np.int64)
    levels = levels_of(weights, config)
    physics = Physics(config, IDEAL, seed, converters=converters)
    targets = IDEAL.window.low_us + levels.ravel() * physics.level_step_us
    physics.cells.write(np.arange(targets.size), targets)
    multiplier = Multiplier(physics, config)
    widest = plain_correction(config, gain_for(ROWS * (config.levels - 1), config))
    fitting = plain_correction(config, range_for(multiplier, 0, samples, True, share=share))
    measurement = measure(multiplier, 0, fitting.adc_gain, parts=PARTS, average=AVERAGE)
    calibrated, _ = calibrate(fitting, measurement, levels)
    found = []
    for correction in (widest, fitting, calibrated):
        off = multiplier.multiply(0, correction, inputs, True) - exact
        found.append(100 * float(np.sqrt((off**2).mean() / (exact.astype(float) ** 2).mean())))
    return found[0], found[1], found[2]


def mean_errors(adc_bits: int, converters: Converters, *which: Any) -> list[float]:
    """The means over the seeds; `which` as in `errors`."""
    return list(np.mean([errors(adc_bits, converters, seed, *which) for seed in SEEDS], axis=0))


def main() -> None:
    for mapping in WeightMapping:
        print(f"| {mapping}, bits | widest range | range that fits | 1 % may saturate |")
        print("|---|--:|--:|--:|")
        for adc_bits in (6, 7, 8, 9, 10, 12):
            widest, fitting, _ = mean_errors(adc_bits, IDEAL_CONVERTERS, 0.0, mapping)
            tight = mean_errors(adc_bits, IDEAL_CONVERTERS, 0.01, mapping)[1]
            print(f"| {adc_bits} | {widest:.1f} | {fitting:.1f} | {tight:.1f} |", flush=True)
        print()
    for adc_bits in (8, 10):
        print(f"| {adc_bits} bits, fault | as it is | calibrated |\n|---|--:|--:|")
        for name, converters in FAULTS.items():
            _, plain, calibrated = mean_errors(adc_bits, converters)
            print(f"| {name} | {plain:.1f} | {calibrated:.1f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
