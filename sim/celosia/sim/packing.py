"""Payload integers from vectors and fields, and back.

A packed payload carries element or field 0 in its lowest bits, as Amaranth's layouts do.
"""

from typing import Any

import numpy as np
from amaranth.hdl import Shape, ShapeCastable
from amaranth.lib import data
from numpy.typing import ArrayLike, DTypeLike, NDArray


def pack_vector(values: ArrayLike, dtype: DTypeLike) -> int:
    """A vector of whole-byte integers as one payload.

    Parameters
    ----------
    values : array_like
        Elements; they must fit ``dtype``.
    dtype : dtype
        Element type in the payload, for example ``np.int8``.
    """
    array = np.asarray(values)
    packed = array.astype(np.dtype(dtype).newbyteorder("<"))
    if not np.array_equal(packed, array):
        raise ValueError(f"{array.tolist()} doesn't fit {np.dtype(dtype).name}")
    return int.from_bytes(packed.tobytes(), "little")


def unpack_vector(payload: int, length: int, dtype: DTypeLike) -> NDArray[Any]:
    """The inverse of `pack_vector`: ``length`` elements of ``dtype``."""
    element = np.dtype(dtype).newbyteorder("<")
    raw = payload.to_bytes(length * element.itemsize, "little")
    return np.frombuffer(raw, element).astype(dtype)


def pack_fields(layout: Any, value: Any) -> int:
    """A payload from the values of a layout's fields.

    Parameters
    ----------
    layout : shape-like
        Amaranth layout, `data.Struct` class, or plain shape.
    value : dict, sequence or int
        Field values: a dict for a structure, a sequence for an array, an int for a plain shape;
        nested as the layout is. A field left out is 0.
    """
    layout = _resolve(layout)
    if not isinstance(layout, data.Layout):
        shape = Shape.cast(layout)
        low = -(1 << shape.width - 1) if shape.signed and shape.width else 0
        if not low <= value < low + (1 << shape.width):
            raise ValueError(f"{value} doesn't fit {shape!r}")
        return int(value) & ((1 << shape.width) - 1)
    items = value.items() if isinstance(value, dict) else enumerate(value)
    payload = 0
    for key, part in items:
        field = layout[key]
        payload |= pack_fields(field.shape, part) << field.offset
    return payload


def fields_of(layout: Any, payload: int) -> Any:
    """The inverse of `pack_fields`: dicts, lists and signed or unsigned ints."""
    layout = _resolve(layout)
    if not isinstance(layout, data.Layout):
        shape = Shape.cast(layout)
        payload &= (1 << shape.width) - 1
        negative = shape.signed and payload >> shape.width - 1
        return payload - (1 << shape.width) if negative else payload
    parts = {key: fields_of(field.shape, payload >> field.offset) for key, field in layout}
    return list(parts.values()) if isinstance(layout, data.ArrayLayout) else parts


def _resolve(layout: Any) -> Any:
    """The layout or plain shape behind a `data.Struct` class or an enumeration."""
    while isinstance(layout, ShapeCastable) and not isinstance(layout, data.Layout):
        layout = layout.as_shape()
    return layout
