"""Quantising of float ONNX models to int8, with ONNX Runtime's quantiser."""

from celosia.compiler.quantizing.quantize import Quantized, quantize_model

__all__ = ["Quantized", "quantize_model"]
