"""Import of trained int8 networks into the graph that the rest of Celosia works on."""

import os
from pathlib import Path

from celosia.compiler.importer.load import load_tflite
from celosia.compiler.importer.onnx import load_onnx
from celosia.golden.graph import Graph

__all__ = ["load_model", "load_onnx", "load_tflite"]

ONNX_SUFFIX = ".onnx"


def load_model(path: str | os.PathLike[str]) -> Graph:
    """Import a model from its file: .onnx by that name, else .tflite. Raises as these do."""
    return load_onnx(path) if is_onnx(path) else load_tflite(path)


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of an ONNX model."""
    return Path(path).suffix.lower() == ONNX_SUFFIX
