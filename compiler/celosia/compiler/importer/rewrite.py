"""Other values for the constants of a .tflite file: the same file but for their bytes."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from celosia.compiler.importer.flatbuffer import read_flatbuffer
from celosia.golden.errors import CelosiaError


def replace_constants(content: bytes, values: Mapping[int, NDArray[Any]]) -> bytes:
    """A .tflite file in which constant tensors have other values, by their indices.

    Types and shapes are those of the file, and everything else stays where it is.

    Raises:
        CelosiaError: a tensor shares its bytes with one that is to stay as it is.
    """
    raw = read_flatbuffer(content)
    wanted = [tensor.data for tensor in raw.tensors]
    changed = bytearray(content)
    for index, value in values.items():
        data = value.astype(value.dtype.newbyteorder("<")).tobytes()
        place = raw.tensors[index].place
        changed[place : place + len(data)] = data
        wanted[index] = data
    # Buffers may be shared, or overlap: what was written is read again.
    for tensor, data_wanted in zip(read_flatbuffer(bytes(changed)).tensors, wanted, strict=True):
        if tensor.data != data_wanted:
            raise CelosiaError(
                f"tensor '{tensor.name}' must have bytes of its own in the file, not those of a "
                "tensor that is pruned; export the model again"
            )
    return bytes(changed)
