"""The programmer in gateware with a Python model of the documentation's behind its port.

The model draws its noise in the order of its reads, so that the golden programmer is given the
cells one by one, as the gateware takes them. Each has a model of its own with the same seed.
"""

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.settings import LevelWindow
from celosia.sim.benches.programmer_bench import (
    Session,
    as_tuple,
    default_settings,
    expected_of,
    tuples,
)
from celosia.sim.block_bench import BlockBench
from celosia.sim.front_end_bridge import FrontEndBridge

LEAST_CONVERGED = 0.95


@cocotb.test()
async def the_model_is_programmed_as_by_the_golden_programmer(dut: Any) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=10_000_000)
    session = Session(dut, bench, stalls=False)
    config, seed = session.config, bench.rng.randrange(1 << 30)
    names: dict[str, Any] = {}
    exec(bench.parameters["source"], names)
    model, twin = (names["Tenths"](config.rows, config.columns, seed) for _ in range(2))
    FrontEndBridge(dut, config, bench.clk, model)
    settings = default_settings(config)
    # The model ends below the highest code, and comes there by ever smaller steps.
    highest = LevelWindow(read_low=190, read_high=255, write_low=200, write_high=255)
    settings = replace(settings, windows=(*settings.windows[:-1], highest))
    await session.configure(settings)
    cells = [(row, column) for row in range(config.rows) for column in range(config.columns)]
    levels = [bench.rng.randrange(config.levels) for _ in cells]
    expected = []
    for (row, column), level in zip(cells, levels, strict=True):
        place = (row, 1, column, 1)
        expected += tuples(expected_of(twin, config, settings, Command.PROGRAM, 0, place, [level]))
    cocotb.start_soon(session.targets.send(levels))
    await session.command(Command.PROGRAM, 0, (0, config.rows, 0, config.columns))
    answers = [as_tuple(answer) for answer in await session.answers(len(cells))]
    for answer, golden in zip(answers, expected, strict=True):
        assert answer == golden, f"{answer}, not {golden}"
    assert np.array_equal(model.code, twin.code)
    converged = np.mean([answer[2] == Result.CONVERGED for answer in answers])
    assert converged > LEAST_CONVERGED, f"{converged:.3f} converged"
    session.check_safe()
