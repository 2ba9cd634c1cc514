"""What commands print through: results to standard output, everything else to standard error."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError  # the command's frame decides the exit status, not rich


#: For results that a person reads.
results = _Console(highlight=False)
#: For errors, logs and progress.
errors = _Console(stderr=True, highlight=False)


NO_OVERLAP = (
    "transfers don't overlap with computation: memory doesn't hold inputs, outputs and "
    "instructions twice"
)


def name_width(others: int) -> int:
    """Characters that are left for a name beside columns that take `others`; 12 at the least."""
    return max(12, results.width - others)


def in_pieces(pieces: int, host_bytes: Mapping[str, int]) -> str:
    """What cutting a network into pieces costs, in a sentence."""
    return (
        f"runs in {pieces:,} pieces; for one inference the host writes "
        f"{host_bytes['weights']:,} bytes of programs and weights and {host_bytes['inputs']:,} of "
        f"activations, and reads {host_bytes['outputs']:,}"
    )


def crossbar_in_use(crossbar: Mapping[str, Any]) -> str:
    """What a program takes of the crossbar, in a sentence."""
    cells = sum(tile["cells"] for tile in crossbar["tiles"])
    return (
        f"{len(crossbar['tiles'])} of {crossbar['available']:,} crossbar tiles of "
        f"{crossbar['rows']} x {crossbar['columns']} cells, in which "
        f"{cells:,} cells hold weights"
    )


def print_rest(count: int, limit: int | None, what: str, option: str) -> None:
    """How many rows of a table weren't shown, and which option shows them."""
    if limit is not None and count > limit:
        results.print(f"... and {count - limit:,} more {what}: {option} shows all")


def print_json(result: Mapping[str, object]) -> None:
    """The result for scripts: one JSON object, and nothing else, on standard output."""
    print(json.dumps(result, indent=2))


def download_progress() -> Progress:
    """A progress bar for bytes; it shows on terminals only, and leaves nothing behind."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
