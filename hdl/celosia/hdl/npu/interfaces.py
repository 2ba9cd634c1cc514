"""Layouts and signatures between the NPU's blocks, all derived from the specification."""

from amaranth.hdl import Shape, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import (
    ADDRESS_BITS,
    INSTRUCTION_BITS,
    Bits,
    Depthwise,
    DepthwiseWindow,
    Extent,
    Instruction,
    Matmul,
    Product,
)
from celosia.golden.isa import SEMAPHORES as SEMAPHORES

__all__ = [
    "SEMAPHORES",
    "AccumulateJob",
    "CrossbarEngineSignature",
    "DepthwiseEngineSignature",
    "DepthwiseJob",
    "HostRequest",
    "InstructionStream",
    "MatrixEngineSignature",
    "MemoryReadSignature",
    "MemoryWriteSignature",
    "SemaphoreSignature",
    "field_width",
    "instruction_layout",
    "is_instruction",
    "vector",
]


HostRequest = data.StructLayout({"write": 1, "address": 32, "data": 32})
"""One access of the host: a byte address (see `celosia.golden.memory_map`), and data to write."""


def vector(lanes: int, bits: int = 8) -> data.ArrayLayout:
    """A vector of signed lanes, lane 0 in the least significant bits."""
    return data.ArrayLayout(signed(bits), lanes)


def instruction_layout(instruction: type[Instruction]) -> data.StructLayout:
    """The 128-bit word of an instruction as a layout with its named fields."""
    return data.FlexibleLayout(
        INSTRUCTION_BITS,
        {
            item.name: data.Field(Shape(item.bits.width, item.bits.signed), item.offset)
            for item in instruction.layout()
        },
    )


UNIT_OPCODE_BITS = 4


def is_instruction(word: Value, kind: type[Instruction]) -> Value:
    """Whether an instruction word of a unit is of that kind.

    Only its own instructions reach a unit, and their lowest bits tell them apart.
    """
    return word[:UNIT_OPCODE_BITS] == kind.opcode % (1 << UNIT_OPCODE_BITS)


def field_width(instruction: type[Instruction], name: str) -> int:
    """Width of a field in bits."""
    (item,) = (item for item in instruction.layout() if item.name == name)
    return item.bits.width


def _width(annotated: object) -> int:
    (bits,) = (item for item in annotated.__metadata__ if isinstance(item, Bits))
    return bits.width


InstructionStream = stream.Signature(INSTRUCTION_BITS)
"""Instruction words on their way to a unit."""


class MatrixEngineSignature(wiring.Signature):
    """The contract of a matrix engine, seen from the engine.

    Members:
        weights: stream of tile rows, `columns` int8 each; R of them, row 0 first, are a tile.
        activations: stream of `vector` (R int8) and `first`: 1 on the first vector of a pass, which
            takes the next complete tile into use; it waits until that tile has been loaded.
        sums: stream of C int32, one for each activation vector, in order. A sum is the product of
            the vector and the tile in use.

    Loading the next tile overlaps with streaming activations through the current one.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._rows = rows
        self._columns = columns
        super().__init__(
            {
                "weights": In(stream.Signature(vector(columns))),
                "activations": In(
                    stream.Signature(data.StructLayout({"vector": vector(rows), "first": 1}))
                ),
                "sums": Out(stream.Signature(vector(columns, 32))),
            }
        )

    @property
    def rows(self) -> int:
        """R, lanes of an activation vector."""
        return self._rows

    @property
    def columns(self) -> int:
        """C, lanes of a weight row and of a sum."""
        return self._columns


class MemoryReadSignature(wiring.Signature):
    """A reader of a vector memory, seen from the reader.

    Each request is answered once, in order. `tag` travels with the request and comes back with
    its vector. Back-pressure works both ways.
    """

    def __init__(self, shape: data.Layout, tag: object = 0) -> None:
        tag_shape = unsigned(tag) if isinstance(tag, int) else tag
        super().__init__(
            {
                "request": Out(
                    stream.Signature(
                        data.StructLayout({"address": unsigned(ADDRESS_BITS), "tag": tag_shape})
                    )
                ),
                "response": In(
                    stream.Signature(data.StructLayout({"vector": shape, "tag": tag_shape}))
                ),
            }
        )


def MemoryWriteSignature(lanes: int) -> stream.Signature:
    """Stream of writes to a memory of byte vectors: `mask` has a bit for each lane to write."""
    return stream.Signature(
        data.StructLayout(
            {"address": unsigned(ADDRESS_BITS), "vector": vector(lanes), "mask": unsigned(lanes)}
        )
    )


class SemaphoreSignature(wiring.Signature):
    """A unit's side of the semaphores, seen from the unit.

    Members:
        wait: set of semaphores that the unit's next instruction needs; 0 while it has none.
        grant: combinational from `wait`: every semaphore of the set is above zero.
        take: pulse in a cycle with `grant` in which the instruction starts; each semaphore of
            `wait` goes down by one.
        signal: set of semaphores that go up by one in this cycle.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "wait": Out(SEMAPHORES),
                "grant": In(1),
                "take": Out(1),
                "signal": Out(SEMAPHORES),
            }
        )


AccumulateJob = data.StructLayout(
    {
        "base": unsigned(field_width(Matmul, "accumulator")),
        "rows": unsigned(_width(Extent)),
        "columns": unsigned(_width(Extent)),
        "overwrite": 1,
        "signal": unsigned(SEMAPHORES),
        "depthwise": 1,
        "crossbar": 1,
    }
)
"""One pass of a MATMUL, a DEPTHWISE or a PRODUCT: rows * columns sums are on their way, in order,
for the accumulators from `base`, from the engine that `depthwise` and `crossbar` tell. `overwrite`
replaces what was there; `signal` is raised once the last is written."""

DepthwiseJob = data.StructLayout(
    {
        "rows": unsigned(field_width(Depthwise, "rows")),
        "columns": unsigned(field_width(Depthwise, "columns")),
        "window": data.StructLayout(
            {
                name: unsigned(field_width(DepthwiseWindow, name))
                for name in (
                    *("rows", "columns", "groups", "stride_y", "stride_x"),
                    *("multiplier", "lane", "phase"),
                )
            }
        ),
    }
)
"""What the depthwise engine knows of a DEPTHWISE: its outputs, and the window as it was set."""


class CrossbarEngineSignature(wiring.Signature):
    """The crossbar's contract as an engine of MATRIX, seen from the engine.

    Members:
        vectors: stream of the vectors of output pixels: `vector` (R int8), `tile`, and `pixel_end`
            on the last of a pixel.
        sums: stream of C int32, one for each pixel, in order.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(
            {
                "vectors": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "vector": vector(rows),
                                "tile": unsigned(field_width(Product, "tile")),
                                "pixel_end": 1,
                            }
                        )
                    )
                ),
                "sums": Out(stream.Signature(vector(columns, 32))),
            }
        )


class DepthwiseEngineSignature(wiring.Signature):
    """The depthwise engine's contract, seen from the engine.

    Members:
        jobs: stream of `DepthwiseJob`, one for each DEPTHWISE, in order.
        vectors: stream of the strips' vectors, along the columns of each strip: `vector` (R int8),
            `column_end` and `strip_end` on the last of a column and of a strip.
        weights: stream of `vector` (C int8) and `last`: 1 on the last of a set. Each job takes the
            next set; loading it overlaps with the job before.
        sums: stream of C int32, rows * columns for each job, along the columns of its outputs.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(
            {
                "jobs": In(stream.Signature(DepthwiseJob)),
                "vectors": In(
                    stream.Signature(
                        data.StructLayout({"vector": vector(rows), "column_end": 1, "strip_end": 1})
                    )
                ),
                "weights": In(
                    stream.Signature(data.StructLayout({"vector": vector(columns), "last": 1}))
                ),
                "sums": Out(stream.Signature(vector(columns, 32))),
            }
        )
