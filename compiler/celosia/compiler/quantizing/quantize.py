"""`quantize_model`: a float model and samples become an int8 model that imports exactly.

The model is written with QLinear operators, whose bytes ONNX Runtime and Celosia agree on: weights
int8, symmetric, per channel; activations int8 with a zero point, their ranges the extremes of the
samples. A softmax is left in float.
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer import load_onnx
from celosia.compiler.importer.onnx.reader import decode, onnx_package, parse
from celosia.compiler.quantizing.prepare import prepare
from celosia.compiler.quantizing.runtime import Session, differing_bytes, onnxruntime_package
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter

Samples = NDArray[np.float32]
_COMPARED = 16
"""Samples on which layers are compared."""
_LEFT_FLOAT = ("Softmax", "LogSoftmax")


@dataclass(frozen=True)
class LayerError:
    """Signal to noise, in decibels, of one tensor against the float model's.

    `rounded_db` is what rounding the float tensor to its int8 scale costs by itself; `network_db`
    what it is in the int8 network, with all that happened before. Infinite where nothing differs.
    """

    name: str
    operator: str
    scale: float
    rounded_db: float
    network_db: float


@dataclass(frozen=True)
class Quantized:
    """The int8 model and what became of the network.

    Attributes:
        data: bytes of the .onnx file.
        layers: errors of the network's tensors, in order.
        output_db: signal to noise of the network's first output.
        float_outputs, outputs: first output of each sample, before and after.
        differing: bytes of the samples compared in which Celosia and ONNX Runtime differ.
    """

    data: bytes
    layers: tuple[LayerError, ...]
    output_db: float
    float_outputs: NDArray[np.float32]
    outputs: NDArray[Any]
    differing: int


def quantize_model(data: bytes, samples: Samples, folder: Path | None = None) -> Quantized:
    """Quantise a float .onnx model; `samples` is [n, ...] as the network's input is.

    Raises:
        CelosiaError: a package is missing, the model can't be quantised, or `samples` are others
            than the network takes.
    """
    onnxruntime_package()
    original = parse(data, folder)
    prepared = prepare(original)
    edge = decode(prepared).inputs[0]
    samples = check_samples(samples, edge.name, edge.shape or ())
    model = _quantized(prepared, edge.name, samples)
    content: bytes = model.SerializeToString()
    try:
        graph = load_onnx(content)
    except CelosiaError as error:
        raise CelosiaError(f"the quantised model can't run: {error}") from error
    interpreter, floats = Interpreter(graph), Session(prepared)
    before = [floats.run(sample)[0] for sample in samples]
    after = [interpreter.run([sample])[0] for sample in samples]
    before_array, after_array = np.concatenate(before), np.concatenate(after)
    return Quantized(
        data=content,
        layers=tuple(_layer_errors(prepared, model, samples[:_COMPARED])),
        output_db=signal_to_noise(before_array, after_array),
        float_outputs=before_array,
        outputs=after_array,
        differing=_differing(model, samples[:_COMPARED]),
    )


def _differing(model: Any, samples: Samples) -> int:
    """Bytes in which Celosia and ONNX Runtime differ, in front of what is left in float."""
    compared = onnx_package().ModelProto()
    compared.CopyFrom(model)
    sources = {
        node.output[0]: node.input[0] for node in model.graph.node if node.op_type in _LEFT_FLOAT
    }
    for value in compared.graph.output:
        if value.name in sources:
            value.name = sources[value.name]
            value.type.tensor_type.ClearField("shape")
    interpreter, referee = Interpreter(load_onnx(compared.SerializeToString())), Session(compared)
    return sum(differing_bytes(interpreter.run([x]), referee.run(x)) for x in samples)


def check_samples(samples: NDArray[Any], name: str, shape: Sequence[int]) -> Samples:
    """Samples as [n, 1, ...]: one after another, each with the network's batch of one."""
    if samples.dtype != np.float32:
        raise CelosiaError(
            f"calibration samples must be float32 as the network's input '{name}' is, prepared as "
            f"for the float model, not {samples.dtype.name}"
        )
    one = tuple(shape)
    if samples.shape == one:
        samples = samples[None]
    elif one[:1] == (1,) and samples.shape[1:] == one[1:]:
        samples = samples[:, None]
    elif samples.shape[1:] != one:
        wanted = ("n", *one[1:]) if one[:1] == (1,) else ("n", *one)
        raise CelosiaError(
            f"calibration samples must have shape ({', '.join(map(str, wanted))}) for n samples of "
            f"input '{name}', not {samples.shape}"
        )
    if not len(samples):
        raise CelosiaError("calibration samples must be at least one, not none")
    if not np.isfinite(samples).all():
        raise CelosiaError("calibration samples must be finite numbers, without NaN")
    return samples


def _quantized(model: Any, name: str, samples: Samples) -> Any:
    onnx = onnx_package()
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._samples = iter(samples)

        def get_next(self) -> Mapping[str, Samples] | None:
            sample = next(self._samples, None)
            return None if sample is None else {name: sample}

    excluded = [node.name for node in model.graph.node if node.op_type in _LEFT_FLOAT]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))
        try:
            quantize_static(
                source,
                target,
                Reader(),
                quant_format=QuantFormat.QOperator,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
                extra_options={"CalibMaxIntermediateOutputs": _COMPARED},
            )
        except Exception as error:  # the quantiser raises whatever its Python code does
            reason = " ".join(str(error).split())[:200]
            raise CelosiaError(f"ONNX Runtime can't quantise the model: {reason}") from error
        return onnx.load(str(target))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which is about what has been done already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    runtime = onnxruntime_package()
    runtime.set_default_logger_severity(3)
    try:
        yield
    finally:
        runtime.set_default_logger_severity(2)
        logging.disable(before)


def _layer_errors(before: Any, after: Any, samples: Samples) -> Iterator[LayerError]:
    """Errors of the tensors that both models have, by the names the quantiser gives."""
    onnx = onnx_package()
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in after.graph.initializer}
    made = {name for node in after.graph.node for name in node.output}
    named = [
        (node, name)
        for node in before.graph.node
        for name in node.output
        if f"{name}_quantized" in made and f"{name}_scale" in constants
    ]
    clamps = _clamps(before)
    clamped = {name: clamps.get(name, name) for _, name in named}
    floats = _all_outputs(before, list(dict.fromkeys(clamped.values())), samples)
    wholes = _all_outputs(after, [f"{name}_quantized" for _, name in named], samples)
    for node, name in named:
        scale = float(constants[f"{name}_scale"])
        zero_point = int(constants[f"{name}_zero_point"])
        real = floats[clamped[name]].astype(np.float64)
        rounded = np.clip(np.rint(real / scale) + zero_point, -128, 127) - zero_point
        whole = wholes[f"{name}_quantized"].astype(np.float64) - zero_point
        yield LayerError(
            name=clamped[name],
            operator=str(node.op_type),
            scale=scale,
            rounded_db=signal_to_noise(real, rounded * scale),
            network_db=signal_to_noise(real, whole * scale),
        )


def _clamps(model: Any) -> dict[str, str]:
    """The output of the one Relu or Clip behind a value: quantising does it on the way."""
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return {
        name: nodes[0].output[0]
        for name, nodes in users.items()
        if len(nodes) == 1 and nodes[0].op_type in ("Relu", "Clip")
    }


def _all_outputs(model: Any, names: Sequence[str], samples: Samples) -> dict[str, NDArray[Any]]:
    onnx = onnx_package()
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    present = {value.name for value in shown.graph.output}
    for name in names:
        if name not in present:
            shown.graph.output.append(onnx.ValueInfoProto(name=name))
    session = Session(shown)
    runs = [session.run(sample, names) for sample in samples] if names else []
    return {name: np.stack([run[i] for run in runs]) for i, name in enumerate(names)}


def signal_to_noise(wanted: NDArray[Any], got: NDArray[Any]) -> float:
    """Power of `wanted` over that of the difference, in decibels."""
    signal = float(np.square(wanted.astype(np.float64)).sum())
    noise = float(np.square(wanted.astype(np.float64) - got).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")
