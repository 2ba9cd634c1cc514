"""What others give for the same networks: cycles, and times that were published.

The cycles are those of SCALE-Sim's closed forms and of Arm's estimator.
"""

import csv
import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import MATRIX_KINDS, Graph, OpKind
from celosia.runtime.models import CATALOGUE

ETHOS_U55_MACS = (32, 64, 128, 256)
"""Multiply-accumulates per cycle of the Ethos-U55's variants."""

VELA_MISSING = 'Arm\'s estimator must be installed for its column: pip install "celosia[vela]"'

GAP9_MS = {
    "ic_resnet8_int8": 0.616,
    "kws_dscnn_int8": 0.475,
    "vww_mobilenetv1_025_96_int8": 1.125,
    "ad_autoencoder_int8": 0.176,
}
"""Milliseconds of one inference, by names of the catalogue, on the fastest microcontroller-class
chip: GreenWaves GAP9 at 370 MHz and 0.8 V, single stream (mlcommons/tiny_results_v1.0)."""


def published_ms(model: bytes) -> float | None:
    """GAP9's time for the model of these bytes; None where it isn't one of MLPerf Tiny's."""
    digest = hashlib.sha256(model).hexdigest()
    names = (known.name for known in CATALOGUE if known.sha256 == digest)
    return GAP9_MS.get(next(names, ""))


@dataclass(frozen=True)
class ClosedForms:
    """Cycles of all matrix products of a network on arrays that don't overlap their tiles."""

    output_stationary: int
    weight_stationary: int


def scale_sim_cycles(graph: Graph, config: NpuConfig) -> ClosedForms:
    """SCALE-Sim's closed forms for the network's matrix products on an array of the same size.

    For a product [M, K] x [K, N] on R x C: output-stationary ceil(M/R) ceil(N/C) (K + R + C - 2),
    weight-stationary ceil(K/R) ceil(N/C) (M + 2R + C - 2), as in Samajdar et al., "SCALE-Sim:
    Systolic CNN Accelerator Simulator", 2018. A depthwise convolution, which SCALE-Sim doesn't
    have, counts as a product of one column for each channel. Elementwise layers and
    requantisation are not in it.
    """
    rows, columns = config.rows, config.columns
    output = weight = 0
    for m, n, k in _products(graph):
        tiles = -(-n // columns)
        output += -(-m // rows) * tiles * (k + rows + columns - 2)
        weight += -(-k // rows) * tiles * (m + 2 * rows + columns - 2)
    return ClosedForms(output, weight)


def _products(graph: Graph) -> Iterator[tuple[int, int, int]]:
    """(M, N, K) of each matrix product; a depthwise convolution is one for each channel."""
    for operator in graph.operators:
        if operator.kind not in MATRIX_KINDS:
            continue
        weights = graph.tensors[operator.inputs[1]].shape
        output = graph.tensors[operator.outputs[0]].shape
        pixels = int(np.prod(output[:-1]))
        if operator.kind is OpKind.DEPTHWISE_CONV_2D:
            yield from ((pixels, 1, weights[1] * weights[2]) for _ in range(weights[3]))
        else:
            yield pixels, weights[0], int(np.prod(weights[1:]))


def ethos_u55_macs(config: NpuConfig) -> int:
    """The largest Ethos-U55 with no more multipliers than the array, or else the smallest."""
    fitting = [macs for macs in ETHOS_U55_MACS if macs <= config.macs]
    return max(fitting, default=min(ETHOS_U55_MACS))


def vela_is_installed() -> bool:
    """Whether the package of Arm's estimator is here."""
    return importlib.util.find_spec("ethosu") is not None


def vela_cycles(model: bytes, macs: int) -> int:
    """Cycles of one inference on an Ethos-U55 by Arm's estimator, which runs in a process.

    `model` holds the bytes of a .tflite file, `macs` is one of `ETHOS_U55_MACS`. All memory is on
    chip (`Sram_Only`). The result is the sum of the per-layer report's column NPU.

    Raises:
        CelosiaError: the estimator isn't installed, can't take the model, or leaves a part of it
            to the processor beside the NPU, which it doesn't count.
    """
    if not vela_is_installed():
        raise CelosiaError(VELA_MISSING)
    with tempfile.TemporaryDirectory(prefix="celosia-vela-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        command = [sys.executable, "-m", "ethosu.vela", str(path), "--output-dir", folder]
        command += ["--accelerator-config", f"ethos-u55-{macs}", "--memory-mode", "Sram_Only"]
        command += ["--verbose-performance"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = Path(folder) / "model_per-layer.csv"
        if done.returncode or not report.is_file():
            lines = done.stderr.strip().splitlines()
            reason = lines[-1] if lines else f"exit status {done.returncode}"
            raise CelosiaError(f"Arm's estimator can't take the model: {reason}")
        with report.open(encoding="utf-8", newline="") as file:
            layers = list(csv.DictReader(file))
    elsewhere = sorted({row["Original Operator"] for row in layers if row["Target"] != "NPU"})
    if elsewhere:
        raise CelosiaError(
            f"Arm's estimator leaves {', '.join(elsewhere)} to a processor, and counts no "
            "cycles for it"
        )
    return round(sum(float(row["NPU"]) for row in layers))
