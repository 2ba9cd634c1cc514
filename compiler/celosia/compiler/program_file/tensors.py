"""Tensors and layouts in the header."""

import base64
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from celosia.compiler.layout import Layout, PackedLayout, PixelLayout, Taps
from celosia.compiler.program_file.fields import Field
from celosia.golden.config import NpuConfig
from celosia.golden.graph import MAX_ELEMENTS, MAX_RANK, Quantization, Tensor

_EXTENT = (1, MAX_ELEMENTS)
_DTYPES = {
    name: np.dtype(name) for name in ("int8", "int16", "int32", "int64", "float32", "uint8", "bool")
}


def encode_tensor(tensor: Tensor) -> dict[str, Any]:
    """A tensor as JSON."""
    quantization = tensor.quantization
    encoded: dict[str, Any] = {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype.name,
    }
    if quantization is not None:
        encoded["quantization"] = {
            "scale": quantization.scale.astype(float).tolist(),
            "zero_point": quantization.zero_point.tolist(),
            "axis": quantization.axis,
        }
    if tensor.data is not None:
        encoded["data"] = base64.b64encode(_little(tensor).tobytes()).decode()
    return encoded


def _little(tensor: Tensor) -> np.ndarray[Any, Any]:
    assert tensor.data is not None
    return tensor.data.astype(tensor.dtype.newbyteorder("<"))


def decode_tensor(field: Field) -> Tensor:
    """A tensor from JSON."""
    shape = field["shape"].integers(*_EXTENT)
    size = math.prod(shape)
    if len(shape) > MAX_RANK or size > MAX_ELEMENTS:
        field["shape"].fail(f"at most {MAX_RANK} extents and {MAX_ELEMENTS} elements")
    name = field["dtype"].text()
    if name not in _DTYPES:
        field["dtype"].fail(f"one of {', '.join(_DTYPES)}")
    quantization = None
    if "quantization" in field.value:
        quantization = _decode_quantization(field["quantization"], shape)
    data = None
    if "data" in field.value:
        try:
            raw = base64.b64decode(field["data"].text(), validate=True)
        except ValueError:
            field["data"].fail("base64")
        if len(raw) != size * _DTYPES[name].itemsize:
            field["data"].fail(f"{size * _DTYPES[name].itemsize} bytes")
        little = np.frombuffer(raw, _DTYPES[name].newbyteorder("<"))
        data = little.astype(_DTYPES[name]).reshape(shape)
    return Tensor(field["name"].text(), shape, _DTYPES[name], quantization, data)


def _decode_quantization(field: Field, shape: tuple[int, ...]) -> Quantization:
    axis = field["axis"].integer(0, max(len(shape) - 1, 0))
    channels = shape[axis] if shape else 1
    scales = [item.number() for item in field["scale"].items(most=channels)]
    scale = np.array(scales, np.float64)
    if len(scales) not in (1, channels) or (scale <= 2.0**-126).any() or (scale > 2.0**127).any():
        field["scale"].fail(f"1 or {channels} positive float32 values")
    zero_point = field["zero_point"].integers(-(1 << 31), (1 << 31) - 1, count=len(scales))
    return Quantization(scale.astype(np.float32), np.array(zero_point, np.int32), axis)


def encode_layout(layout: Layout) -> dict[str, Any]:
    """A layout as JSON."""
    kind = "pixels" if isinstance(layout, PixelLayout) else "packed"
    return {"kind": kind, **asdict(layout)}


def decode_layout(field: Field, shape: tuple[int, ...], config: NpuConfig) -> Layout:
    """A layout from JSON, for a tensor of `shape`."""
    size = math.prod(shape)
    if field["kind"].value == "pixels":
        pixels, channels = (field[key].integer(*_EXTENT) for key in ("pixels", "channels"))
        layout: Layout = PixelLayout(pixels, channels)
        held = pixels * channels
    elif field["kind"].value == "packed":
        extents = {
            key: field[key].integer(1, 0xFFFF) for key in ("images", "height", "width", "channels")
        }
        layout = PackedLayout(
            **extents,
            vertical=_decode_taps(field["vertical"]),
            horizontal=_decode_taps(field["horizontal"]),
            padding=field["padding"].integer(-128, 127),
        )
        held = math.prod(extents.values())
    else:
        field["kind"].fail("pixels or packed")
    if held != size:
        field.fail(f"a layout of {size} elements")
    if layout.vectors(config.rows) > config.scratchpad_depth:
        field.fail(f"a layout of at most {config.scratchpad_depth} vectors")
    return layout


def _decode_taps(field: Field) -> Taps:
    extents = {
        key: field[key].integer(1, 0xFFFF) for key in ("kernel", "stride", "dilation", "outputs")
    }
    return Taps(**extents, before=field["before"].integer(0, 0xFFFF))
