"""Options that the commands of `celosia crossbar` share."""

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
