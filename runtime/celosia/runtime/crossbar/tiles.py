"""Crossbar tiles of a program: programmed by the controller, on a front end or in hardware."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program_file import AnyProgram
from celosia.golden.crossbar.calibration import calibrate, measure_unsaturated
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.controller import Controller
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.load import load_device
from celosia.golden.crossbar.emulation import IDEAL
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, Telemetry
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.settings import SCALARS, Setting, Settings
from celosia.golden.crossbar.window import CrossbarWindow
from celosia.golden.crossbar.writing import leak_of
from celosia.golden.errors import CelosiaError
from celosia.golden.machine import AnalogTiles
from celosia.runtime.crossbar.programming import Answers, Outcome, ProgrammingScript, outcome_of
from celosia.sim.crossbar_script import play_on_twin
from celosia.sim.host_script import HostScript

FRONT_ENDS = ("emulator", "physics")
PROGRAMMINGS = ("direct", "commands")
"""Ways into hardware: cells through the emulator's back door, or the controller's commands.
"""
RELAXATION_S = 1.0
"""Time between programming and use, after which published programming errors were measured."""
_CALIBRATION_PRODUCTS = 1 << 26


@dataclass(frozen=True)
class TileOptions:
    """How a run's tiles are made.

    Attributes:
        front_end: one of `FRONT_ENDS`.
        seed: of all that their cells draw.
        programming: one of `PROGRAMMINGS`.
        calibrate: measure and correct every column before the first product.
    """

    front_end: str = "emulator"
    seed: int = 1
    programming: str = "direct"
    calibrate: bool = False

    def check(self) -> None:
        """Raises CelosiaError where an option isn't one of those there are."""
        for what, value, known in (
            ("front end", self.front_end, FRONT_ENDS),
            ("programming", self.programming, PROGRAMMINGS),
        ):
            if value not in known:
                raise CelosiaError(f"{what} must be {' or '.join(known)}, not {value!r}")


@dataclass(frozen=True)
class ProgrammedTiles:
    """Tiles that were programmed, and what it took.

    Attributes:
        program, options, device: whose they are, how they were made, the device's name.
        settings: the controller's.
        controller: the golden one, that has them.
        written: what is written into hardware's cells, as `EmulatorTwin.write_cell` takes
            it [tiles, rows, columns]; None where these are programmed by commands.
        answers: what the host reads when it brings them into hardware.
        cells, columns: how programming and calibration ended.
    """

    program: AnyProgram
    options: TileOptions
    device: str
    settings: Settings
    controller: Controller
    written: NDArray[np.int64] | None
    answers: Answers
    cells: Outcome
    columns: Outcome

    def engine(self) -> AnalogTiles:
        """The tiles as the golden machine takes them, with counts of their own."""
        multiplier = self.controller.multiplier
        own = Multiplier(multiplier.front_end, multiplier.config, replace(multiplier.telemetry))
        return AnalogTiles(own, self.controller.corrections)

    def write(self, script: HostScript) -> ProgrammingScript:
        """Append to a script what brings the tiles into an NPU's crossbar.

        Raises:
            CelosiaError: they are on another front end.
        """
        if self.options.front_end != "emulator":
            raise CelosiaError("crossbar tiles must be on the emulator to be in hardware")
        return _write(script, self.program, self.settings, self.written, self.options)


def program_tiles(program: AnyProgram, options: TileOptions) -> ProgrammedTiles:
    """Program every tile of a program, as its plan says.

    On the front end `physics` the device's own cells, formed before, are programmed and used. On
    the `emulator` the cells that it stands for are programmed themselves: those of the
    configuration's emulator, or of the preset `ideal`. Any other device's conductances, programmed
    and relaxed on the physics, are put into the emulator's ideal cells. Columns of devices whose
    lines or converters aren't ideal are calibrated in any case.

    Raises:
        CelosiaError: no such front end or way, or the device can't be programmed so, or has what
            the emulator hasn't.
    """
    options.check()
    plan, sizes = program.programming, program.config.crossbar
    if plan is None or sizes is None:
        raise CelosiaError("program must have a plan of how its crossbar tiles are programmed")
    device, settings = load_device(plan.device), plan.settings
    if sizes.cell_bits in device.levels:
        raise CelosiaError(
            f"device must have equally spaced levels of {sizes.cell_bits} bits for products, and "
            f"{device.name} has published windows of its own"
        )
    emulated = options.front_end == "emulator"
    pure = device.lines.ideal and device.converters == IDEAL_CONVERTERS
    if emulated and not pure:
        raise CelosiaError(
            f"{device.name} must be used with --front-end physics: the emulator has neither lines "
            "with resistance nor errors of converters"
        )
    own = sizes.emulator != IDEAL or device.name == "ideal"
    if options.programming == "commands" and emulated and not own:
        raise CelosiaError(
            f"--programming must be direct for {device.name} in an emulator of ideal cells: a "
            f"configuration's table [crossbar.emulator] gives it others"
        )
    most = (1 << SCALARS[Setting.LEAK][0]) - 1
    scalars = {**settings.scalars, Setting.LEAK: min(leak_of(device, sizes), most)}
    physical = replace(settings, scalars=scalars)
    if emulated and own:
        settings = physical
    if options.programming == "commands" and emulated:
        twin = EmulatorTwin(sizes, sizes.emulator)
        return _in_hardware(program, options, device, settings, twin, None, None)
    first: EmulatorTwin | Physics = (
        EmulatorTwin(sizes, sizes.emulator)
        if own and emulated
        else Physics(sizes, device, options.seed)
    )
    if isinstance(first, Physics):
        first.cells.form()
    window = CrossbarWindow(controller := Controller(first, sizes, physical))
    script = HostScript(program.config)
    # Nobody's queue has to hold a whole tile's results here.
    steps = ProgrammingScript(script, program, physical, at_once=sizes.rows * sizes.columns)
    steps.program(whole=not own)
    cells = outcome_of(steps.cells(play_on_twin(script, window)))
    if isinstance(first, Physics):
        first.cells.wait(RELAXATION_S)
        if not emulated:
            columns = outcome_of([])
            if options.calibrate:
                columns = _calibrated(program, physical, window)
            elif not pure:
                _correct(program, first, controller)
            nothing = np.empty(0, np.uint32)
            return ProgrammedTiles(
                program, options, device.name, physical, controller, None, nothing, cells, columns
            )
        written = _conductances(sizes, device, first)
    else:
        written = first.cells()
    twin = EmulatorTwin(sizes, sizes.emulator)
    return _in_hardware(program, options, device, settings, twin, written, cells)


def _in_hardware(
    program: AnyProgram,
    options: TileOptions,
    device: Device,
    settings: Settings,
    twin: EmulatorTwin,
    written: NDArray[np.int64] | None,
    cells: Outcome | None,
) -> ProgrammedTiles:
    """Do to the twin what is done to hardware; `cells` are those that others have programmed."""
    sizes = program.config.crossbar
    assert sizes is not None
    script, controller = HostScript(program.config), Controller(twin, sizes, settings)
    steps = _write(script, program, settings, written, options)
    answers = play_on_twin(script, CrossbarWindow(controller, twin))
    return ProgrammedTiles(
        program,
        options,
        device.name,
        settings,
        controller,
        written,
        answers,
        outcome_of(steps.cells(answers)) if cells is None else cells,
        outcome_of(steps.columns(answers)),
    )


def _write(
    script: HostScript,
    program: AnyProgram,
    settings: Settings,
    written: NDArray[np.int64] | None,
    options: TileOptions,
) -> ProgrammingScript:
    steps = ProgrammingScript(script, program, settings)
    if written is None:
        steps.program(whole=False)
    else:
        steps.write_cells(written)
    if options.calibrate:
        steps.calibrate()
    steps.count()
    return steps


def _calibrated(program: AnyProgram, settings: Settings, window: CrossbarWindow) -> Outcome:
    script = HostScript(program.config)
    steps = ProgrammingScript(script, program, settings)
    steps.calibrate()
    return outcome_of(steps.columns(play_on_twin(script, window)))


def _correct(program: AnyProgram, physics: Physics, controller: Controller) -> None:
    """Give each column the offset and gain that are measured in as few parts as don't saturate."""
    # Numbers of products, and so noise, that those of a run don't have.
    counts = Telemetry(products=_CALIBRATION_PRODUCTS)
    multiplier, leak = (
        Multiplier(physics, physics.config, counts),
        leak_of(physics.device, physics.config),
    )
    for number, tile in enumerate(program.crossbar):
        plain = controller.corrections[number]
        measured = measure_unsaturated(multiplier, number, plain.adc_gain)
        levels = levels_of(tile.weights, physics.config)
        controller.corrections[number] = calibrate(plain, measured, levels, leak=leak)[0]


def _conductances(sizes: CrossbarConfig, device: Device, physics: Physics) -> NDArray[np.int64]:
    """The conductances of a device's cells, as fine as the emulator's numbers are."""
    found: NDArray[Any] = physics.cells.conductances(np.arange(len(physics.cells)))
    steps = (found - device.window.low_us) * (sizes.level_step / physics.level_step_us)
    shape = (sizes.tiles, sizes.rows, sizes.columns)
    return np.clip(np.rint(steps), 0, 1023).astype(np.int64).reshape(shape)
