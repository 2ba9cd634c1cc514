"""Options that the commands of `celosia crossbar` share."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from celosia.golden.errors import CelosiaError

if TYPE_CHECKING:
    from celosia.golden.crossbar.devices.device import Device

DeviceFile = Annotated[
    Path | None,
    typer.Option("--device", metavar="FILE.toml", help="A device of one's own instead."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Seed of everything drawn.")]

LineResistance = Annotated[
    float | None,
    typer.Option(
        "--line-resistance",
        metavar="OHM",
        help="Of each segment of a row and of a column.  [default: the device's, or none]",
        show_default=False,
    ),
]
BiasingName = Annotated[
    str | None,
    typer.Option(
        "--biasing",
        metavar="transistor|half|third",
        help="How lines that aren't selected are held in a write: 1T1R, or a passive array with "
        "V/2 or V/3.  [default: the device's]",
        show_default=False,
    ),
]
FloatingReads = Annotated[
    bool,
    typer.Option("--floating-reads", help="Let the other lines of a passive array float in reads."),
]


def in_an_array(
    device: "Device", ohm: float | None, biasing: str | None, floating_reads: bool
) -> "Device":
    """The device with what these options say of its array."""
    from celosia.golden.crossbar.front_end import Biasing

    if ohm is not None:
        device = replace(device, lines=replace(device.lines, row=ohm, column=ohm))
    names = {item.name.lower(): item for item in Biasing}
    if biasing is not None:
        if biasing not in names:
            raise CelosiaError(f"biasing must be one of {', '.join(names)}, not {biasing!r}")
        device = replace(device, biasing=names[biasing])
    if floating_reads:
        device = replace(device, floating_reads=True)
    return device


def preset_option(default: str) -> typer.models.OptionInfo:
    """The option `--preset` of a command with this default."""
    option: typer.models.OptionInfo = typer.Option(
        "--preset",
        metavar="NAME",
        help=f"One of the devices that `celosia crossbar` lists.  [default: {default}]",
        show_default=False,
    )
    return option


def chosen_device(preset: str | None, file: Path | None, default: str) -> "Device":
    """The device that was asked for, by one option or the other."""
    from celosia.golden.crossbar.devices.load import PRESETS, load_device

    if preset is not None and file is not None:
        raise CelosiaError("device must be given by --preset or by --device, not by both")
    if file is not None:
        return load_device(file)
    if preset is not None and preset not in PRESETS:
        raise CelosiaError(f"preset must be one of {', '.join(PRESETS)}, not {preset!r}")
    return load_device(preset or default)


def check_plot(plot: Path | None) -> None:
    """Before minutes go into what couldn't be shown."""
    from celosia.runtime.picture import require_matplotlib

    if plot is not None:
        if plot.suffix != ".png":
            raise CelosiaError(f"plot must be a .png file, not {str(plot)!r}")
        require_matplotlib()
