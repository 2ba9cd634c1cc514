"""The programmer in gateware with device physics behind its port, against the golden programmer.

Each has an array of its own, of the same cells: device, seed and draws are equal.
"""

from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.commands import Command, Result, Scheme
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.recipe import settings_for
from celosia.sim.benches.programmer_bench import Session, as_tuple, expected_of, tuples
from celosia.sim.block_bench import BlockBench
from celosia.sim.front_end_bridge import FrontEndBridge


@cocotb.test()
@cocotb.parametrize(scheme=list(Scheme))
async def the_same_cells_take_the_same_pulses(dut: Any, scheme: Scheme) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=100_000_000)
    session = Session(dut, bench, stalls=False)
    config, seed = session.config, bench.rng.randrange(1 << 30)
    device = load_device(bench.parameters["device"])
    settings = settings_for(device, config, scheme)
    model, twin = Physics(config, device, seed), Physics(config, device, seed)
    FrontEndBridge(dut, config, bench.clk, model)
    await session.configure(settings)
    place = (0, config.rows, 0, config.columns)
    count = config.rows * config.columns
    levels = np.random.default_rng(seed).integers(0, config.levels, count).tolist()
    for command in (Command.FORM, Command.PROGRAM, Command.READ):
        expected = tuples(expected_of(twin, config, settings, command, 0, place, levels))
        if command is Command.PROGRAM:
            cocotb.start_soon(session.targets.send(levels))
        await session.command(command, 0, place)
        answers = [as_tuple(answer) for answer in await session.answers(count)]
        for answer, golden in zip(answers, expected, strict=True):
            assert answer == golden, f"{command.name}: {answer}, not {golden}"
        if command is Command.PROGRAM:
            converged = np.mean([answer[2] == Result.CONVERGED for answer in answers])
            pulses = np.mean([answer[4] for answer in answers])
            print(f"{count} cells, {scheme.name}: {converged:.3f} converged, {pulses:.1f} pulses")
    assert np.array_equal(
        model.cells.conductances(np.arange(count)), twin.cells.conductances(np.arange(count))
    )
    session.check_safe()
