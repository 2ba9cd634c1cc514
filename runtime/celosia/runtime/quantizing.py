"""Quantising a model's file: reading, writing and what there is to report."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from celosia.compiler.importer import is_onnx
from celosia.compiler.importer.files import read_model_file
from celosia.compiler.quantizing import quantize_model
from celosia.golden.errors import CelosiaError
from celosia.golden.files import write_atomically
from celosia.runtime.inputs import read_array


@dataclass(frozen=True)
class QuantizeReport:
    """What `celosia quantize` tells; decibels are None where nothing differs.

    `accuracy` has the shares `float`, `int8` and `agreement` where labels were given.
    """

    file: str
    bytes: int
    samples: int
    layers: list[dict[str, Any]]
    output_db: float | None
    accuracy: dict[str, float] | None
    differing_bytes: int

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def quantize_file(
    model: str, calibration: Path, output: Path | None, labels: Path | None
) -> QuantizeReport:
    """Quantise a file and write the result, by default as MODEL_int8.onnx in the current folder.

    Raises:
        CelosiaError: a file can't be read or written, or its content can't be used.
    """
    source = Path(model)
    if not is_onnx(source):
        raise CelosiaError(f"model must be a float .onnx file, not {model!r}")
    target = output or Path(f"{source.stem}_int8.onnx")
    data = read_model_file(source)
    if target.resolve() == source.resolve():
        raise CelosiaError(f"output {str(target)!r} must be another file than the model")
    samples = read_array(calibration, "calibration samples")
    classes = None if labels is None else read_array(labels, "labels")
    try:
        quantized = quantize_model(data, samples, source.parent)
    except CelosiaError as error:
        raise CelosiaError(f"model {model!r}: {error}") from error
    accuracy = None
    if classes is not None:
        accuracy = _accuracy(classes, quantized.float_outputs, quantized.outputs)
    write_atomically(target, quantized.data)
    return QuantizeReport(
        file=str(target),
        bytes=len(quantized.data),
        samples=len(quantized.outputs),
        layers=[
            {
                "name": layer.name,
                "operator": layer.operator,
                "scale": layer.scale,
                "rounded_db": _finite(layer.rounded_db),
                "network_db": _finite(layer.network_db),
            }
            for layer in quantized.layers
        ],
        output_db=_finite(quantized.output_db),
        accuracy=accuracy,
        differing_bytes=quantized.differing,
    )


def _finite(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _accuracy(labels: NDArray[Any], before: NDArray[Any], after: NDArray[Any]) -> dict[str, float]:
    count, classes = len(before), before.shape[-1]
    if before.size != count * classes:
        raise CelosiaError(
            f"labels need a network with one row of classes to a sample, not {before.shape[1:]}"
        )
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise CelosiaError(
            f"labels must be {count} whole numbers, one for each sample, "
            f"not {labels.dtype.name} of shape {labels.shape}"
        )
    if not ((labels >= 0) & (labels < classes)).all():
        raise CelosiaError(f"labels must be classes from 0 to {classes - 1}")
    best_before, best_after = (
        outputs.reshape(count, classes).argmax(axis=1) for outputs in (before, after)
    )
    return {
        "float": float((best_before == labels).mean()),
        "int8": float((best_after == labels).mean()),
        "agreement": float((best_before == best_after).mean()),
    }
