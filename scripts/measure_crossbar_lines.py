"""Time of the array's set-up and products on one core, and badcrossbar's where it is installed."""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # before numpy is imported

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from celosia.golden.crossbar.array.lines import Lines, transfer

SIZES = (64, 128, 256)
VECTORS = 1000
REPEATS = 5


def timed(repeats: int, action: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Median time of an action in ms, and its last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = action(*arguments)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3, result


def main() -> None:
    referee = None
    if importlib.util.find_spec("badcrossbar"):
        from badcrossbar_currents import column_currents as referee
    for size in SIZES:
        generator = np.random.default_rng(size)
        conductance = generator.uniform(1e-6, 100e-6, (size, size))
        volts = generator.uniform(0, 0.2, (VECTORS, size))
        setup, matrix = timed(REPEATS, transfer, conductance, Lines())
        products, currents = timed(REPEATS, np.matmul, volts, matrix.T)
        line = (
            f"{size} x {size}, 1 ohm: set-up {setup:.1f} ms, {VECTORS} products {products:.2f} ms"
        )
        if referee is not None:
            other, found = timed(1, referee, conductance, volts[0], 1.0, 1.0)
            differs = np.abs(currents[0] / found - 1).max()
            line += f"; badcrossbar {other:.0f} ms, differs by {differs:.1e}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
