"""The tiles of a crossbar, for `celosia inspect`."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from celosia.compiler.names import short_name
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.errors import CelosiaError
from celosia.runtime.cli.output import crossbar_in_use, name_width, print_rest, results

_COLUMNS = 80  # what the columns beside a layer's name take


def check_tiles(report: dict[str, Any]) -> None:
    """Raises CelosiaError where `--tiles` has nothing to show."""
    if "crossbar" not in report:
        raise CelosiaError("--tiles must be left out: no layer of the program is on the crossbar")


def print_tiles(crossbar: dict[str, Any], limit: int | None) -> None:
    """The tiles of a crossbar's description, the first `limit` of them."""
    table = Table(box=None, pad_edge=False, title="Crossbar tiles", title_justify="left")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("layer", no_wrap=True)
    for name in ("rows x outputs", "cells used", "spare", "not at 0", "mean level", "ADC gain"):
        table.add_column(name, justify="right", no_wrap=True)
    for tile in crossbar["tiles"][:limit]:
        cells, levels = tile["cells"], tile["levels"]
        total = sum(level * count for level, count in enumerate(levels))
        table.add_row(
            str(tile["tile"]),
            escape(short_name(tile["layer"] or "-", name_width(_COLUMNS))),
            f"{tile['rows']} x {tile['outputs']}",
            f"{cells:,}",
            f"{tile['spare_cells']:,}",
            f"{1 - levels[0] / cells:.0%}",
            f"{total / cells:.2f}",
            f"{tile['adc_gain'] / GAIN_ONE:.3f}",
        )
    results.print()
    results.print(table)
    print_rest(len(crossbar["tiles"]), limit, "tiles", "--tiles")
    results.print(
        f"{crossbar_in_use(crossbar)}; a weight takes {crossbar['slices']} slices of "
        f"{crossbar['cell_bits']} bits, mapped {crossbar['mapping']}, {crossbar['spares']} of "
        f"{crossbar['outputs'] + crossbar['spares']} outputs are spare",
        soft_wrap=True,
    )
