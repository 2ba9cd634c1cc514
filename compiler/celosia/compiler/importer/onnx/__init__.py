"""Import of quantised ONNX networks, written with QDQ pairs or with QLinear operators."""

from celosia.compiler.importer.onnx.load import IMPORTERS, load_onnx

__all__ = ["IMPORTERS", "load_onnx"]
