"""`celosia demo`: the embedded digit classifier through the RTL."""

from pathlib import Path
from typing import Annotated

import typer

from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import errors, print_json, results
from celosia.runtime.cli.run import print_report


def demo(
    config: Config = "npu8x8",
    samples: Annotated[
        int, typer.Option(metavar="N", min=2, max=400, help="Held-out digits to run.")
    ] = 200,
    picture: Annotated[Path, typer.Option(metavar="FILE.png", help="Picture to write.")] = Path(
        "celosia-demo.png"
    ),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run held-out digits through the embedded network in RTL.

    Ends with accuracy, differing bytes, cycles and utilisation of every layer, and a picture.
    """
    from celosia.golden.files import write_atomically
    from celosia.runtime.demo import Demo

    with errors.status("compiling the digit classifier") as status:
        demonstration = Demo(config, samples)
        status.update("building the simulation (the first time this takes a minute or two)")
        demonstration.build()
        status.update(f"running {demonstration.samples} digits through the RTL")
        shown = demonstration.run()
    write_atomically(picture, shown.picture)
    if as_json:
        print_json({**shown.report.to_json(), "accuracy": shown.accuracy, "picture": str(picture)})
    else:
        print_report(shown.report)
        results.print(
            f"accuracy {shown.accuracy:.1%} ({shown.right} of {shown.report.samples} held-out "
            f"digits), {shown.report.mismatches} mismatching bytes; picture: {picture}",
            markup=False,
            soft_wrap=True,
        )
    if not shown.report.outputs_match:
        raise typer.Exit(1)
