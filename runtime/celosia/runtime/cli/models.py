"""`celosia models`: the public int8 models, and fetching them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import download_progress, print_json, results
from celosia.runtime.models import BASE_URL, CATALOGUE, fetch, find

app = typer.Typer(name="models")


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False, verbose: Verbose = False) -> None:
    """List the public int8 models, or fetch some of them."""
    if context.invoked_subcommand is not None:
        return
    if as_json:
        print_json({"models": [model.describe() for model in CATALOGUE]})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("task")
    table.add_column("bytes", justify="right")
    table.add_column("MACs", justify="right")
    for model in CATALOGUE:
        table.add_row(model.name, model.task, f"{model.size:,}", f"{model.macs:,}")
    results.print(table)
    for model in CATALOGUE:
        results.print(f"\n[bold]{model.name}[/]")
        results.print(f"  source   {model.source}", soft_wrap=True)
        results.print(f"  licence  {model.licence}")
        results.print(f"  sha256   {model.sha256}", soft_wrap=True)


@app.command("fetch")
def fetch_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Models to fetch.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write into.")
    ] = Path(),
    base_url: Annotated[
        str,
        typer.Option(metavar="URL", help="Mirror to fetch from.", show_default="on GitHub"),
    ] = BASE_URL,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fetch models, check them, and write them as NAME.tflite.

    A file is written only when its size and SHA-256 are the catalogue's.
    """
    chosen = [find(name) for name in names]
    written: dict[str, str] = {}
    with download_progress() as progress:
        for model in chosen:
            task = progress.add_task(model.name, total=model.size)
            path = fetch(
                model,
                output,
                base_url=base_url,
                on_bytes=partial(progress.advance, task),
            )
            written[model.name] = str(path)
            if not as_json:
                results.print(
                    f"{path}  {model.size:,} bytes, SHA-256 as expected",
                    markup=False,
                    soft_wrap=True,
                )
    if as_json:
        print_json({"written": written})
