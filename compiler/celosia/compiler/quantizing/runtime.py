"""ONNX Runtime, which quantises; it is an extra, and never needed to run a network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError


def onnxruntime_package() -> Any:
    """The `onnxruntime` package. Raises CelosiaError where it isn't installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise CelosiaError(
            "quantising needs the onnxruntime package, which is an extra: "
            'pip install "celosia[onnx]"'
        ) from error
    return onnxruntime


class Session:
    """A model of one input on one thread, run sample by sample as it is written."""

    def __init__(self, model: Any) -> None:
        runtime = onnxruntime_package()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base
            raise CelosiaError(
                f"the model must be one that ONNX Runtime can run: {_first_line(error)}"
            ) from error
        self._input = self._session.get_inputs()[0].name

    def run(self, sample: NDArray[Any], outputs: Sequence[str] | None = None) -> list[Any]:
        """Outputs (all of the network's where None) for a sample with a batch of one."""
        try:
            return list(self._session.run(outputs, {self._input: sample}))
        except Exception as error:  # as above
            raise CelosiaError(
                f"the model must be one that ONNX Runtime can run: {_first_line(error)}"
            ) from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def differing_bytes(a: Sequence[Any], b: Sequence[Any]) -> int:
    """How many bytes of two lists of arrays differ."""
    return sum(
        int(np.count_nonzero(_bytes_of(x) != _bytes_of(y))) for x, y in zip(a, b, strict=True)
    )


def _bytes_of(array: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8)
