"""Crossbar tiles of a program: programmed by the controller's algorithm on a front end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Program
from celosia.golden.crossbar.calibration import calibrate, measure_unsaturated
from celosia.golden.crossbar.commands import Result, Scheme
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulation import IDEAL, level_step
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.front_end import FrontEnd
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, Telemetry, TileCorrection, plain_correction
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.programming import Programmer, region
from celosia.golden.crossbar.recipe import settings_for
from celosia.golden.crossbar.writing import leak_of
from celosia.golden.errors import CelosiaError
from celosia.golden.machine import AnalogTiles
from celosia.sim.host_script import HostScript

FRONT_ENDS = ("emulator", "physics")
RELAXATION_S = 1.0
"""Time between programming and use, after which published programming errors were measured."""
_CALIBRATION_PRODUCTS = 1 << 26


@dataclass(frozen=True)
class ProgrammedTiles:
    """Tiles that were programmed, and what it took.

    Attributes:
        device, kind: names of the device and of the kind of front end.
        front_end: what they are on.
        corrections: of every tile.
        cells, pulses: programmed cells; pulses in all.
        converged: share of the cells.
    """

    device: str
    kind: str
    front_end: FrontEnd
    corrections: tuple[TileCorrection, ...]
    cells: int
    pulses: int
    converged: float

    def engine(self, program: Program) -> AnalogTiles:
        """The tiles as the golden machine takes them."""
        sizes = program.config.crossbar
        assert sizes is not None
        return AnalogTiles(Multiplier(self.front_end, sizes), self.corrections)

    def write(self, script: HostScript) -> None:
        """Write tables and cells into an NPU's emulator.

        Raises:
            CelosiaError: the tiles are on another front end.
        """
        if not isinstance(self.front_end, EmulatorTwin):
            raise CelosiaError("crossbar tiles must be on the emulator to be in hardware")
        for number, correction in enumerate(self.corrections):
            for entry in correction.writes(number):
                script.write_correction(entry)
        script.write_cells(self.front_end.conductance)


def program_tiles(program: Program, device_name: str, front_end: str, seed: int) -> ProgrammedTiles:
    """Program every tile of a program, as the controller does.

    On the front end `physics` the device's own cells, formed before, are programmed and used. On
    the `emulator` the preset `ideal` is programmed itself; any other device's conductances,
    programmed and relaxed on the physics, are put into the emulator's cells. Columns of devices
    whose lines or converters aren't ideal are calibrated.

    Raises:
        CelosiaError: no such device or front end, or the device can't be programmed so, or has what
            the emulator hasn't.
    """
    if front_end not in FRONT_ENDS:
        raise CelosiaError(f"front end must be {' or '.join(FRONT_ENDS)}, not {front_end!r}")
    device, sizes = load_device(device_name), program.config.crossbar
    assert sizes is not None
    if sizes.cell_bits in device.levels:
        raise CelosiaError(
            f"device must have equally spaced levels of {sizes.cell_bits} bits for products, and "
            f"{device.name} has published windows of its own"
        )
    ideal = device.lines.ideal and device.converters == IDEAL_CONVERTERS
    if front_end == "emulator" and not ideal:
        raise CelosiaError(
            f"{device.name} must be used with --front-end physics: the emulator has neither lines "
            "with resistance nor errors of converters"
        )
    emulated = front_end == "emulator" and device.name == "ideal"
    cells: EmulatorTwin | Physics = (
        EmulatorTwin(sizes, IDEAL) if emulated else Physics(sizes, device, seed)
    )
    if isinstance(cells, Physics):
        cells.cells.form()
    counts = _program_cells(program, device, cells)
    chosen: FrontEnd = cells
    if isinstance(cells, Physics):
        cells.cells.wait(RELAXATION_S)
        if front_end == "emulator":
            chosen = _emulated(program, device, cells)
    corrections = [plain_correction(sizes, tile.adc_gain) for tile in program.crossbar]
    if isinstance(cells, Physics) and not ideal:
        corrections = _calibrated(program, cells, corrections)
    return ProgrammedTiles(device.name, front_end, chosen, tuple(corrections), *counts)


def _calibrated(
    program: Program, physics: Physics, plain: list[TileCorrection]
) -> list[TileCorrection]:
    """The corrections with offset and gain of each column as they are measured."""
    sizes = physics.config
    # Numbers of products, and so noise, that those of a run don't have.
    multiplier = Multiplier(physics, sizes, Telemetry(products=_CALIBRATION_PRODUCTS))
    leak = leak_of(physics)
    found = []
    for number, (tile, correction) in enumerate(zip(program.crossbar, plain, strict=True)):
        measured = measure_unsaturated(multiplier, number, correction.adc_gain)
        levels = levels_of(tile.weights, sizes)
        found.append(calibrate(correction, measured, levels, leak=leak)[0])
    return found


def _program_cells(
    program: Program, device: Device, cells: EmulatorTwin | Physics
) -> tuple[int, int, float]:
    """Bring all cells of all tiles to their levels; cells, pulses and the converged share."""
    sizes = program.config.crossbar
    assert sizes is not None
    programmer = Programmer(cells, sizes, settings_for(device, sizes, Scheme.STEP))
    rows, columns = region(0, sizes.rows, 0, sizes.columns)
    pulses = good = 0
    for number, tile in enumerate(program.crossbar):
        levels = levels_of(tile.weights, sizes)
        results = programmer.program(number, rows, columns, levels.ravel())
        pulses += int(results.pulses.sum())
        good += int((results.result == Result.CONVERGED).sum())
    count = len(program.crossbar) * rows.size
    return count, pulses, good / max(1, count)


def _emulated(program: Program, device: Device, physics: Physics) -> EmulatorTwin:
    """An emulator whose cells have the conductances of a device's, as fine as its numbers are."""
    sizes = program.config.crossbar
    assert sizes is not None
    twin = EmulatorTwin(sizes, IDEAL)
    found: NDArray[Any] = physics.cells.conductances(np.arange(twin.conductance.size))
    steps = (found - device.window.low_us) * (level_step(sizes) / physics.level_step_us)
    twin.conductance[:] = (
        np.clip(np.rint(steps), 0, 1023).astype(np.int64).reshape(twin.conductance.shape)
    )
    return twin
