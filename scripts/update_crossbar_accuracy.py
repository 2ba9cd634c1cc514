"""Writes the tables of docs/crossbar-accuracy.md from the files of `celosia crossbar characterise`.

    celosia crossbar characterise -o FOLDER
    celosia crossbar characterise --sweep devices -o FOLDER
    python scripts/update_crossbar_accuracy.py FOLDER

Sections of sweeps of which the folder has no file are left as they are.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from update_results import ROOT, measured, replace_section

from celosia.runtime.crossbar.sweeps import Sweep

PAGE = ROOT / "docs" / "crossbar-accuracy.md"


def table(found: dict[str, Any]) -> Iterator[str]:
    """The lines of a sweep's table, with what it was measured on."""
    points = [point["value"] for point in found["curves"][0]["points"]]
    names = found.get("names") or [f"{value:g}" for value in points]
    yield f"| {found['axis']} | {' | '.join(names)} |"
    yield "|---|" + "--:|" * len(names)
    for curve in found["curves"]:
        cells = [
            f"{100 * point['mean']:.1f}" + (f" ± {100 * point['std']:.1f}" if point["std"] else "")
            for point in curve["points"]
        ]
        yield f"| {curve['name']} | {' | '.join(cells)} |"
    yield ""
    exact = ", ".join(f"{name} {100 * value:.1f}" for name, value in found["int8"].items())
    yield (
        f"Right, %: {found['samples']} digits, {found['seeds']} seeds, {found['device']}; "
        f"exact int8 has {exact}."
    )
    yield from measured("numpy")


def main() -> int:
    """Write what there is; returns the exit status."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print("one argument is needed: the folder that `celosia crossbar characterise -o` wrote")
        return 2
    for sweep in Sweep:
        file = Path(sys.argv[1]) / f"{sweep}.json"
        if file.is_file():
            replace_section(PAGE, str(sweep), list(table(json.loads(file.read_text("utf-8")))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
