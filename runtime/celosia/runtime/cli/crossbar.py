"""`celosia crossbar`: experiments on the crossbar's models."""

import typer
from rich.markup import escape
from rich.table import Table

from celosia.runtime.cli.crossbar_cells import form, program
from celosia.runtime.cli.crossbar_characterise import characterise
from celosia.runtime.cli.crossbar_mvm import mvm
from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import print_json, results

app = typer.Typer(name="crossbar")
app.command()(form)
app.command()(program)
app.command()(mvm)
app.command()(characterise)


@app.callback(invoke_without_command=True)
def crossbar(context: typer.Context, as_json: Json = False, verbose: Verbose = False) -> None:
    """List the devices that come with Celosia, or experiment on them.

    docs/crossbar-devices.md says what they are and how to describe one's own.
    """
    from celosia.golden.crossbar.devices.load import PRESETS, load_device

    if context.invoked_subcommand is not None:
        return
    devices = [load_device(name) for name in PRESETS]
    if as_json:
        print_json(
            {
                "devices": [
                    {
                        "name": device.name,
                        "title": device.title,
                        "low_us": device.window.low_us,
                        "high_us": device.window.high_us,
                    }
                    for device in devices
                ]
            }
        )
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("device", no_wrap=True)
    table.add_column("what it is")
    for device in devices:
        table.add_row(device.name, escape(device.title))
    results.print(table)
