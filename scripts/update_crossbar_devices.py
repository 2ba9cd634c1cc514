"""Measure what docs/crossbar-devices.md quotes of programming and forming, and write it there.

    python scripts/update_crossbar_devices.py            every table (about a minute)
    python scripts/update_crossbar_devices.py steps      one of them or several

Programs and forms cells by the controller's algorithm on the device models and puts the figures
beside those of published logs.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from update_results import ROOT, measured, replace_section

from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.devices.cells import Polarity
from celosia.golden.crossbar.devices.load import PRESETS, load_device
from celosia.golden.crossbar.physics import CellFrontEnd
from celosia.golden.crossbar.programming import Programmer, region
from celosia.golden.crossbar.recipe import limits_for, settings_for
from celosia.golden.crossbar.settings import LevelWindow, Setting
from celosia.runtime.crossbar.cells import ProgramReport, SchemeName, form_cells, program_cells

SEEDS = (1, 2, 3)
RADAR = load_device("hfox-radar")
RUNS = {
    SchemeName.ISPP: ("97.2 / 96.2 / 96.6", "25.3 / 19.2 / 20.9", "12 / 10 / 12", "91 / 63 / 67"),
    SchemeName.COARSE_FINE: (
        "96.2 / 96.9 / 95.9 / 97.3",
        "8.3 / 9.5 / 8.3 / 9.0",
        "5 / 6 / 5 / 5",
        "23 / 26 / 24 / 25",
    ),
}
"""Success in %, pulses: mean, median, 95th percentile; one figure for each run of the logs."""
STEPS = {10: (98.4, 45), 20: (97.9, 31), 40: (97.2, 25), 80: (96.2, 26), 150: (95.6, 26)}
"""Step in mV: success in % and mean pulses of the logs."""
THREE_BITS = {
    "ispp, 5": (99.6, 177),
    "ispp, 10": (99.3, 125),
    "ispp, 20": (98.5, 92),
    "ispp, 40": (97.4, 80),
    "ispp, 80": (96.4, 78),
    "ispp, 200": (93.7, 86),
    "coarse-fine, 70": (97.2, 33),
}
"""Scheme and step in mV: success in % and mean pulses of the logs of 3 bits a cell."""
LEVELS = ((85.5, 4.1), (99.6, 11.3), (99.7, 14.2), (100.0, 3.6))
"""Success in % and mean pulses of the logs by coarse-then-fine, lowest conductance first."""


def schemes() -> Iterator[str]:
    """Both schemes on 32,768 cells, three seeds."""
    yield "| scheme | | converged, % | pulses, mean | median | 95th percentile |"
    yield "|---|---|--:|--:|--:|--:|"
    for scheme, published in RUNS.items():
        yield f"| {scheme} | logs | " + " | ".join(published) + " |"
        reports = [program_cells(RADAR, scheme=scheme, seed=seed) for seed in SEEDS]
        columns = (
            [f"{100 * report.converged:.1f}" for report in reports],
            [f"{report.pulses_mean:.1f}" for report in reports],
            [f"{report.pulses_median:.0f}" for report in reports],
            [f"{report.pulses_p95:.0f}" for report in reports],
        )
        yield f"| {scheme} | model | " + " | ".join(" / ".join(column) for column in columns) + " |"
    yield from measured("numpy")


def levels() -> Iterator[str]:
    """Level by level."""
    yield "| level | window, uS | coarse-fine logs: converged, pulses | coarse-fine | ispp |"
    yield "|--:|---|--:|--:|--:|"
    reports = [program_cells(RADAR, scheme=scheme) for scheme in reversed(SchemeName)]
    for level, (success, pulses) in enumerate(LEVELS):
        row = reports[0].levels[level]
        ours = (
            f"{100 * r.levels[level].converged:.1f} %, {r.levels[level].pulses_mean:.1f}"
            for r in reports
        )
        yield (
            f"| {level} | {row.low_us:.1f}-{row.high_us:.1f} | {success} %, {pulses} | "
            + " | ".join(ours)
            + " |"
        )


def steps() -> Iterator[str]:
    """The word-line step, on new cells and run after run on the same cells."""
    yield (
        "| step, mV | logs: converged, % | pulses | new cells: converged, % | pulses "
        "| the same cells: converged, % | pulses |"
    )
    yield "|--:|--:|--:|--:|--:|--:|--:|"
    worn = dict(_run_after_run())
    for step, (success, pulses) in STEPS.items():
        report = program_cells(RADAR, step_mv=step)
        again, again_pulses = worn[step]
        yield (
            f"| {step} | {success} | {pulses} | {100 * report.converged:.1f} "
            f"| {report.pulses_mean:.1f} | {100 * again:.1f} | {again_pulses:.1f} |"
        )


def _run_after_run() -> Iterator[tuple[int, tuple[float, float]]]:
    """Steps of 10, 20 ... 150 mV one after the other on the same cells, SET between the runs."""
    config = CrossbarConfig(
        rows=256, outputs=16, spares=0, cell_bits=2, adc_bits=CODE_BITS, adcs=1, **limits_for(RADAR)
    )
    front_end = CellFrontEnd(config, RADAR, 1)
    front_end.cells.form()
    rows, columns = region(0, config.rows, 0, config.columns)
    everyone = front_end.numbers(0, rows, columns)
    for step in range(10, 151, 10):
        settings = settings_for(RADAR, config, Scheme.STEP, step / 1000)
        ended = Programmer(front_end, config, settings).program(0, rows, columns, everyone % 4)
        yield step, (float((ended.result == Result.CONVERGED).mean()), float(ended.pulses.mean()))
        for polarity in (Polarity.SET, Polarity.RESET):
            volts = np.full(len(everyone), 3.0)
            front_end.cells.pulse(polarity, everyone, volts + 0.5, volts, 200e-9)


def three_bits() -> Iterator[str]:
    """Cells of 3 bits, to which nothing was fitted."""
    yield "| scheme, step in mV | logs: converged, % | pulses | model: converged, % | pulses |"
    yield "|---|--:|--:|--:|--:|"
    for title, (success, pulses) in THREE_BITS.items():
        name, step = title.split(", ")
        share, mean = _three_bits(SchemeName(name).scheme, int(step) / 1000)
        yield f"| {title} | {success} | {pulses} | {100 * share:.1f} | {mean:.0f} |"


def _three_bits(scheme: Scheme, step_v: float) -> tuple[float, float]:
    """Success and mean pulses of 8,192 cells, with the logs' patience.

    A tile has no cells of 3 bits, so the windows take the place of the first 8 levels of 4 bits.
    """
    config = CrossbarConfig(
        rows=256, outputs=8, spares=0, cell_bits=4, adc_bits=CODE_BITS, adcs=1, **limits_for(RADAR)
    )
    as_four = replace(RADAR, levels={}, window=replace(RADAR.window, tolerance_us=1.0))
    settings = settings_for(as_four, config, scheme, step_v)
    scale = ((1 << CODE_BITS) - 1) / RADAR.window.full_scale_us
    levels = RADAR.level_windows(3)
    codes = [
        (math.ceil(low * scale), math.floor(high * scale))
        for low, high in zip(levels.low_us, levels.high_us, strict=True)
    ]
    windows = [
        LevelWindow(read_low=low, read_high=high, write_low=low, write_high=high)
        for low, high in codes
    ]
    patience = {Setting.MAXIMUM_PULSES: 4000, Setting.MAXIMUM_FLIPS: 255}
    settings = replace(
        settings, scalars={**settings.scalars, **patience}, windows=tuple(2 * windows)
    )
    front_end = CellFrontEnd(config, RADAR, 1)
    front_end.cells.form()
    rows, columns = region(0, config.rows, 0, config.columns)
    targets = np.arange(len(rows)) % len(windows)
    ended = Programmer(front_end, config, settings).program(0, rows, columns, targets)
    return float((ended.result == Result.CONVERGED).mean()), float(ended.pulses.mean())


def forming() -> Iterator[str]:
    """What forming gives."""
    yield (
        "| device | formed, % | bit line, V: mean (sd) | lowest to highest | after forming, kilohm "
        "| RESET of those, % |"
    )
    yield "|---|--:|--:|--:|--:|--:|"
    published = {
        "hfox-radar": "| logs of `hfox-radar` | | 3.08-3.17 (0.11-0.45) | 1.0-4.0 | 7.0-7.8 | |",
        "sky130": "| specification of `sky130` | 92.73 | 2.5 | 2.2-3.1 | 8.3-33 | 90.83 |",
    }
    for name, row in published.items():
        yield row
        report = form_cells(load_device(name), cells=32768)
        yield (
            f"| `{name}` | {100 * report.formed:.2f} | {report.voltage_mean:.2f} "
            f"({report.voltage_sigma:.2f}) "
            f"| {report.voltage_lowest:.2f}-{report.voltage_highest:.2f} "
            f"| {report.formed_median_ohm / 1000:.1f} "
            f"| {100 * report.converged / report.formed:.2f} |"
        )


def presets() -> Iterator[str]:
    """Every preset at its most usual number of bits."""
    yield "| device | what it is | law | bits | converged, % | pulses, mean | median |"
    yield "|---|---|---|--:|--:|--:|--:|"
    for name in PRESETS:
        device = load_device(name)
        bits = {"hfox-radar": 2, "sky130": 1}.get(name, 4)
        report: ProgramReport = program_cells(device, bits=bits)
        yield (
            f"| `{name}` | {device.title} | {device.law} | {bits} | {100 * report.converged:.1f} "
            f"| {report.pulses_mean:.1f} | {report.pulses_median:.0f} |"
        )


SECTIONS = {
    "schemes": schemes,
    "levels": levels,
    "steps": steps,
    "three-bits": three_bits,
    "forming": forming,
    "presets": presets,
}


def main() -> int:
    """Measure and write; returns the exit status."""
    names = sys.argv[1:] or list(SECTIONS)
    unknown = set(names) - set(SECTIONS)
    if unknown:
        print(f"sections are {', '.join(SECTIONS)}, not {', '.join(sorted(unknown))}")
        return 2
    for name in names:
        replace_section(ROOT / "docs" / "crossbar-devices.md", name, list(SECTIONS[name]()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
