"""Import of trained int8 networks into the graph that the rest of Celosia works on."""

from celosia.compiler.importer.load import load_tflite

__all__ = ["load_tflite"]
