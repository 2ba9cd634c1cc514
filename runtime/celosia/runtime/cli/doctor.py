"""`celosia doctor`: what is installed, what is missing and how to get it."""

from dataclasses import asdict

import typer
from rich.markup import escape
from rich.table import Table

from celosia.runtime.cli.options import Json, Verbose
from celosia.runtime.cli.output import print_json, results
from celosia.runtime.doctor import examine
from celosia.runtime.findings import Finding


def doctor(as_json: Json = False, verbose: Verbose = False) -> None:
    """Tell what is installed, what is missing and how to get it.

    The exit status is 1 when something that Celosia can't run without is missing.
    """
    findings = examine()
    missing = [finding for finding in findings if finding.needed and finding.found is None]
    if as_json:
        print_json({"ok": not missing, "findings": [asdict(finding) for finding in findings]})
    else:
        results.print(_table(findings))
        for title, lacking in (
            ("Missing, to be installed:", missing),
            ("Optional, to be had with:", [f for f in findings if not f.needed and not f.found]),
        ):
            if lacking:
                results.print(f"\n{title}")
            for finding in lacking:
                results.print(f"  {finding.name}: {escape(finding.hint)}", soft_wrap=True)
    if missing:
        raise typer.Exit(1)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("what", no_wrap=True)
    table.add_column("for")
    table.add_column("found", overflow="fold")
    for finding in findings:
        if finding.found is not None:
            mark = "[green]ok[/]"
        elif finding.needed:
            mark = "[bold red]missing[/]"
        else:
            mark = "[yellow]optional[/]"
        table.add_row(mark, finding.name, escape(finding.purpose), escape(finding.found or "-"))
    return table
