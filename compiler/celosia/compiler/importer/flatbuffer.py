"""The raw content of a .tflite file, read so that no file can harm: bounded, and never trusted.

The `tflite` package decodes fields where the file's offsets point; a damaged file points anywhere.
Here every vector and string must lie inside the file, the work is bounded by the file's size, and
whatever else goes wrong in decoding comes out as one `CelosiaError`. Whether the content makes
sense as a network is judged by `celosia.compiler.importer.load`.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError

IDENTIFIER = b"TFL3"
MAX_NAME = 1000
# A sound file may use a vector more than once, but not without end.
_WORK_PER_BYTE = 16


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


_TYPES = _names(tflite.TensorType)
_OPERATORS = _names(tflite.BuiltinOperator)
_OPTIONS = _names(tflite.BuiltinOptions)
# Fields of the options that the importer reads, by the table that holds them.
_OPTION_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Conv2DOptions": (
        *("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor"),
        "FusedActivationFunction",
    ),
    "DepthwiseConv2DOptions": (
        *("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor"),
        *("FusedActivationFunction", "DepthMultiplier"),
    ),
    "Pool2DOptions": (
        *("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth"),
        "FusedActivationFunction",
    ),
    "FullyConnectedOptions": ("FusedActivationFunction", "WeightsFormat"),
    "AddOptions": ("FusedActivationFunction",),
    "SubOptions": ("FusedActivationFunction",),
    "MulOptions": ("FusedActivationFunction",),
    "ConcatenationOptions": ("FusedActivationFunction", "Axis"),
    "ReducerOptions": ("KeepDims",),
    "StridedSliceOptions": (
        *("BeginMask", "EndMask"),
        *("EllipsisMask", "NewAxisMask", "ShrinkAxisMask"),
    ),
    "SoftmaxOptions": ("Beta",),
    "LeakyReluOptions": ("Alpha",),
}


@dataclass(frozen=True)
class RawTensor:
    """A tensor as the file has it; `data` is None where its buffer is empty.

    `place` is the position of the data in the file.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    data: bytes | None
    place: int
    is_variable: bool
    is_sparse: bool


@dataclass(frozen=True)
class RawOperator:
    """An operator as the file has it; `options` are those that the importer reads."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class RawModel:
    """The first subgraph of a file."""

    name: str
    tensors: tuple[RawTensor, ...]
    operators: tuple[RawOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_flatbuffer(data: bytes) -> RawModel:
    """Decode a .tflite file; a damaged or foreign one raises `CelosiaError`."""
    if data[4:8] != IDENTIFIER:
        raise CelosiaError("this isn't a .tflite file: bytes 4 to 7 must be 'TFL3'")
    try:
        return _Reader(data).model()
    except (struct.error, ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise CelosiaError(
            "the .tflite file is damaged: its content doesn't fit together or isn't all there; "
            "fetch or export it again"
        ) from error


class _Bounded(bytes):
    """Bytes whose slices must lie inside: Python would shorten them without a word."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and not 0 <= key.start <= key.stop <= len(self):
            raise IndexError("slice outside of the file")
        return super().__getitem__(key)


def _address(view: NDArray[Any]) -> int:
    return int(view.__array_interface__["data"][0])


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = _Bounded(data)
        self._work = _WORK_PER_BYTE * len(data)

    def _spend(self, size: int) -> None:
        self._work -= size
        if size < 0 or self._work < 0:
            raise ValueError("more content than the file can hold")

    def _tables(self, owner: Any, field: str) -> Iterator[Any]:
        """The tables of a vector of tables."""
        length = getattr(owner, field + "Length")()
        self._spend(4 * length)
        get: Callable[[int], Any] = getattr(owner, field)
        for index in range(length):
            yield get(index)

    def _array(self, owner: Any, field: str) -> NDArray[Any]:
        """A vector of numbers, as a view into the file; empty where it or its owner is absent."""
        values: Any = 0 if owner is None else getattr(owner, field + "AsNumpy")()
        if isinstance(values, int):  # the package's way to say that a vector is absent
            return np.zeros(0)
        self._spend(values.nbytes)
        return np.asarray(values)

    def _integers(self, owner: Any, field: str) -> tuple[int, ...]:
        return tuple(int(value) for value in self._array(owner, field))

    def _text(self, value: bytes | None) -> str:
        """A string as one printable line: names come up in messages and reports."""
        self._spend(len(value or b""))
        text = (value or b"").decode("utf-8", errors="replace")[:MAX_NAME]
        return "".join(
            letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
        )

    def model(self) -> RawModel:
        root = tflite.Model.GetRootAs(self._data, 0)
        description = self._text(root.Description())
        codes = [self._code(code) for code in self._tables(root, "OperatorCodes")]
        buffers = [self._buffer(buffer) for buffer in self._tables(root, "Buffers")]
        self._visit_unused(root)
        if root.SubgraphsLength() < 1:
            raise CelosiaError("the .tflite file holds no network: it must have a subgraph")
        subgraph = root.Subgraphs(0)
        tensors = tuple(self._tensor(item, buffers) for item in self._tables(subgraph, "Tensors"))
        return RawModel(
            name=self._text(subgraph.Name()) or description,
            tensors=tensors,
            operators=tuple(
                self._operator(item, codes) for item in self._tables(subgraph, "Operators")
            ),
            inputs=self._integers(subgraph, "Inputs"),
            outputs=self._integers(subgraph, "Outputs"),
        )

    def _visit_unused(self, root: Any) -> None:
        """Read what the importer has no use for, so that a file cut short there is noticed too."""
        for metadata in self._tables(root, "Metadata"):
            self._text(metadata.Name())
        for signature in self._tables(root, "SignatureDefs"):
            self._text(signature.SignatureKey())
            for field in ("Inputs", "Outputs"):
                for entry in self._tables(signature, field):
                    self._text(entry.Name())

    def _code(self, code: Any) -> str:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = self._text(code.CustomCode())
        name = _OPERATORS.get(number, f"number {number}")
        return f"{name} '{custom}'" if name == "CUSTOM" else name

    def _buffer(self, buffer: Any) -> tuple[bytes | None, int]:
        """Its bytes, and their position in the file."""
        data = self._array(buffer, "Data")
        if not data.size:
            return None, 0
        return data.tobytes(), _address(data) - _address(np.frombuffer(self._data, np.uint8))

    def _tensor(self, tensor: Any, buffers: list[tuple[bytes | None, int]]) -> RawTensor:
        index = tensor.Buffer()
        if index >= len(buffers):
            raise ValueError("buffer index out of range")
        data, place = buffers[index]
        quantization = tensor.Quantization()
        self._array(quantization, "Min")
        self._array(quantization, "Max")
        return RawTensor(
            name=self._text(tensor.Name()),
            type=_TYPES.get(tensor.Type(), f"type {tensor.Type()}"),
            shape=self._integers(tensor, "Shape"),
            signature=self._integers(tensor, "ShapeSignature"),
            scale=self._array(quantization, "Scale"),
            zero_point=self._array(quantization, "ZeroPoint"),
            axis=0 if quantization is None else quantization.QuantizedDimension(),
            data=data,
            place=place,
            is_variable=tensor.IsVariable(),
            is_sparse=tensor.Sparsity() is not None,
        )

    def _operator(self, operator: Any, codes: list[str]) -> RawOperator:
        code = operator.OpcodeIndex()
        if code >= len(codes):
            raise ValueError("operator code out of range")
        options_type = _OPTIONS.get(operator.BuiltinOptionsType(), "unknown")
        options: dict[str, Any] = {}
        union = operator.BuiltinOptions()
        if union is not None and options_type in _OPTION_FIELDS:
            table = getattr(tflite, options_type)()
            table.Init(union.Bytes, union.Pos)
            options = {field: getattr(table, field)() for field in _OPTION_FIELDS[options_type]}
        self._array(operator, "CustomOptions")
        return RawOperator(
            kind=codes[code],
            inputs=self._integers(operator, "Inputs"),
            outputs=self._integers(operator, "Outputs"),
            options_type=options_type,
            options=options,
        )
