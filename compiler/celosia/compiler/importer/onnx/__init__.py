"""Import of quantised ONNX networks, written with QDQ pairs or with QLinear operators."""

from celosia.compiler.importer.onnx.load import load_onnx

__all__ = ["load_onnx"]
