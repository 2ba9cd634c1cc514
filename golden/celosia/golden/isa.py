"""The instruction set: typed fields, from which everything else is derived.

An instruction is one word of 128 bits. Bits 0-23 are the same in all of them: the opcode, the
semaphores that it waits for before it starts and signals once it is complete, and the mark that
ends a layer's profile. The operands follow from bit 24 in the order in which their class declares
them. Gateware layouts (`celosia.hdl`), the assembler, the disassembler and
`docs/instruction-set.md` are all made from the classes below; no bit position is written anywhere
else.

Addresses count vectors (of R bytes in the scratchpad, of C bytes in the weight memory, of C int32
in the accumulators) and are modulo 2^24, so that a signed start address outside an image is legal
as long as its padded positions are never read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag
from typing import Annotated, ClassVar, Self, get_args, get_type_hints

INSTRUCTION_BITS = 128
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
ADDRESS_BITS = 24
COORDINATE_BITS = 16
LOOP_LEVELS = 5
FACTOR_BITS = 9
"""Of MUL: the difference of an int8 value and its zero point."""


class Unit(IntEnum):
    """Who executes an instruction: bits 4-7 of its opcode. Each unit runs its own in order."""

    SEQUENCER = 0
    LOAD = 1
    MATRIX = 2
    POST = 3


class Semaphore(IntFlag):
    """Counting semaphores between units; an instruction's `wait` and `signal` are sets of them.

    A waiting instruction starts when every semaphore of its set is above zero and takes one from
    each. Each semaphore has one unit that waits for it, so that taking needs no arbitration.
    """

    NONE = 0
    ACCUMULATED = 1
    """MATRIX to POST: a chunk of sums is complete in the accumulators."""
    DRAINED = 2
    """POST to MATRIX: a half of the accumulators may be overwritten."""
    STORED = 4
    """POST to MATRIX: what a chunk reads is complete in the scratchpad."""


SEMAPHORES = 7
"""Bits of a semaphore set; those above the named ones are reserved."""
SEMAPHORE_MAXIMUM = 255
"""Largest count of a semaphore; a program never raises one further."""


class Reduction(IntEnum):
    """What POOL does with the taps of a window."""

    SUM = 0
    MAXIMUM = 1


@dataclass(frozen=True)
class Bits:
    """Width, sign and meaning of a field."""

    width: int
    doc: str
    signed: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value that the field holds."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1


Address = Annotated[int, Bits(ADDRESS_BITS, "address in vectors", signed=True)]
Step = Annotated[int, Bits(ADDRESS_BITS, "address step in vectors", signed=True)]
Coordinate = Annotated[
    int, Bits(COORDINATE_BITS, "position in the image, may lie in the padding", signed=True)
]
Extent = Annotated[int, Bits(12, "number of rows or columns, at least 1")]


@dataclass(frozen=True)
class FieldLayout:
    """Where a field stands in the word."""

    name: str
    offset: int
    bits: Bits


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """Base of all instructions; `wait`, `signal` and `mark` have the same place in each."""

    opcode: ClassVar[int]

    wait: Annotated[int, Bits(SEMAPHORES, "semaphores to take before starting")] = 0
    signal: Annotated[int, Bits(SEMAPHORES, "semaphores to raise when complete")] = 0
    mark: Annotated[int, Bits(1, "1: store the counters as the end of a layer (POST only)")] = 0

    @classmethod
    def unit(cls) -> Unit:
        """The unit that executes this instruction."""
        return Unit(cls.opcode >> 4)

    @classmethod
    def layout(cls) -> tuple[FieldLayout, ...]:
        """Fields from bit 0 up, the opcode first."""
        return _LAYOUTS[cls]

    @classmethod
    def limits(cls, name: str) -> tuple[int, int]:
        """Smallest and largest value of a field."""
        (item,) = (item for item in cls.layout() if item.name == name)
        return item.bits.limits

    def encode(self) -> int:
        """The 128-bit word. Raises ValueError where a value doesn't fit its field."""
        word = 0
        for item in self.layout():
            value = self.opcode if item.name == "opcode" else int(getattr(self, item.name))
            low, high = item.bits.limits
            if not low <= value <= high:
                raise ValueError(
                    f"{type(self).__name__}.{item.name} must be {low} to {high}, not {value}"
                )
            word |= (value & ((1 << item.bits.width) - 1)) << item.offset
        return word

    @classmethod
    def _from_word(cls, word: int) -> Self:
        values = {}
        for item in cls.layout():
            value = (word >> item.offset) & ((1 << item.bits.width) - 1)
            if item.bits.signed and value >> (item.bits.width - 1):
                value -= 1 << item.bits.width
            values[item.name] = value
        del values["opcode"]
        return cls(**values)

    def __str__(self) -> str:
        operands = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in ("wait", "signal"):
                if value:
                    names = "|".join(s.name or "?" for s in Semaphore if s & value)
                    operands.append(f"{item.name}={names}")
            elif item.name == "mark":
                operands += ["mark"] if value else []
            else:
                operands.append(f"{item.name}={value}")
        return " ".join([f"{mnemonic(type(self)):<16}", *operands]).rstrip()


@dataclass(frozen=True, kw_only=True)
class LoopLevel(Instruction):
    """One level of a unit's loop nest: how often it steps, and what a step adds."""

    level: Annotated[int, Bits(3, "0 (innermost) to 4")]
    count: Annotated[int, Bits(16, "iterations, at least 1")]
    address_step: Step
    y_step: Coordinate = 0
    x_step: Coordinate = 0


@dataclass(frozen=True, kw_only=True)
class ImageBounds(Instruction):
    """Bounds of a unit's input image; what lies outside of them is padding."""

    height: Annotated[int, Bits(COORDINATE_BITS, "rows of the image")]
    width: Annotated[int, Bits(COORDINATE_BITS, "columns of the image")]
    padding: Annotated[int, Bits(8, "value of positions outside the image", signed=True)]


@dataclass(frozen=True, kw_only=True)
class Halt(Instruction):
    """End of the program: wait until every unit is idle, then report done."""

    opcode: ClassVar[int] = 0x00


@dataclass(frozen=True, kw_only=True)
class LoadWeights(Instruction):
    """Stream `tiles` weight tiles (R vectors each, row 0 first) into the matrix engine."""

    opcode: ClassVar[int] = 0x10
    address: Annotated[int, Bits(ADDRESS_BITS, "first weight vector")]
    tiles: Annotated[int, Bits(16, "number of tiles, at least 1")]


@dataclass(frozen=True, kw_only=True)
class LoadDepthwise(Instruction):
    """Stream the weights of one DEPTHWISE into the depthwise engine.

    Vector (g * kernel rows + ky) * T + t holds the weights of kernel row ky and kernel column
    g * T + t, for T taps, in lane j that of accumulator lane j.
    """

    opcode: ClassVar[int] = 0x11
    address: Annotated[int, Bits(ADDRESS_BITS, "first weight vector")]
    vectors: Annotated[int, Bits(16, "kernel rows x groups x T")]


@dataclass(frozen=True, kw_only=True)
class MatrixLoop(LoopLevel):
    """Set one level of MATRIX's loop nest.

    The levels are 0 column, 1 row, 2 channel vector, 3 kernel x and 4 kernel y. The
    counts of levels 0 and 1 come with each MATMUL; those given here are not used. DEPTHWISE uses
    levels 0 and 1 alone.
    """

    opcode: ClassVar[int] = 0x20


@dataclass(frozen=True, kw_only=True)
class MatrixInput(ImageBounds):
    """Set the bounds of MATRIX's input image and the value that stands outside of it."""

    opcode: ClassVar[int] = 0x21


@dataclass(frozen=True, kw_only=True)
class Matmul(Instruction):
    """Sum products over channel vectors, kernel x and kernel y for a chunk of output pixels.

    For every pass (kernel y, kernel x, channel vector; outermost first) take the next weight tile
    W, and for every pixel p (row, column) add x(p) . W to accumulators[accumulator + p]; the first
    pass overwrites, unless `accumulate` is set: then the last instruction before it that left sums
    must have left them in the same accumulators. x(p) is the scratchpad vector at the loop nest's
    address, or `padding` in all lanes where the nest's (y, x) lies outside the image. Sums wrap at
    32 bits.
    """

    opcode: ClassVar[int] = 0x22
    address: Address
    y: Coordinate
    x: Coordinate
    accumulator: Annotated[int, Bits(16, "first accumulator vector")]
    rows: Extent
    columns: Extent
    accumulate: Annotated[int, Bits(1, "1: the first pass adds to the sums that are there")] = 0


@dataclass(frozen=True, kw_only=True)
class DepthwiseWindow(Instruction):
    """Set the window of DEPTHWISE, and which input lane each accumulator lane is made of.

    A window is `rows` by `columns` vectors of the strip; the engine takes T columns at a time, in
    `groups` = ceil(columns / T). Accumulator lane j is made of input lane
    `lane` + floor((`phase` + j) / `multiplier`).
    """

    opcode: ClassVar[int] = 0x23
    rows: Annotated[int, Bits(5, "kernel rows, at least 1")]
    columns: Annotated[int, Bits(5, "kernel columns, at least 1")]
    groups: Annotated[int, Bits(5, "ceil(columns / T)")]
    stride_y: Annotated[int, Bits(4, "strip rows from one output to the next, at least 1")]
    stride_x: Annotated[int, Bits(4, "strip columns from one output to the next, at least 1")]
    multiplier: Annotated[int, Bits(7, "output lanes of one input lane, at least 1")] = 1
    lane: Annotated[int, Bits(6, "first input lane")] = 0
    phase: Annotated[int, Bits(6, "its outputs that come before, below multiplier")] = 0


@dataclass(frozen=True, kw_only=True)
class Depthwise(Instruction):
    """Sum products over a window, lane by lane, for a chunk of output pixels.

    The strip is the `strip_columns` x `strip_rows` vectors of the loop nest's levels 1 and 0, the
    other levels left out: level 0 walks along a strip column, level 1 from one column to the next.
    As for MATMUL, a vector is the scratchpad's at the nest's address, or `padding` in all lanes
    where (y, x) lies outside the image. Takes the next weights; for every output column i, row k
    and each of the first min(R, C) lanes, accumulators[accumulator + i * rows + k] becomes the sum,
    over the window's columns and rows (kx, ky), of the input lane of strip column
    i * stride_x + kx, row k * stride_y + ky, times the weight's lane. A lane without an input
    lane, and the lanes beyond min(R, C), become 0. Weights of kernel columns that the window
    doesn't have must be 0.
    """

    opcode: ClassVar[int] = 0x24
    address: Address
    y: Coordinate
    x: Coordinate
    accumulator: Annotated[int, Bits(16, "first accumulator vector")]
    rows: Annotated[int, Bits(5, "output rows, at least 1")]
    columns: Annotated[int, Bits(11, "output columns, at least 1")]
    strip_rows: Annotated[int, Bits(5, "(rows - 1) x stride_y + kernel rows, at most 16")]
    strip_columns: Annotated[int, Bits(11, "(columns - 1) x stride_x + kernel columns")]


@dataclass(frozen=True, kw_only=True)
class Product(Instruction):
    """Multiply by a crossbar tile, for a chunk of output pixels.

    The loop nest's levels 0, 1 and 2 are the channel vectors, kernel columns and kernel rows that
    the tile takes, levels 3 and 4 the columns and rows of the chunk; the counts of levels 0 and 1
    come with the instruction. For every pixel p (row, column) the vectors at the nest's addresses,
    or `padding` in all lanes where (y, x) lies outside the image, one behind the other, are the
    inputs of the tile's rows from 0 on; rows beyond them get -128. The sums of x + 128 times the
    tile's weights overwrite accumulators[accumulator + p], or are added to it with `accumulate`, as
    for MATMUL.
    """

    opcode: ClassVar[int] = 0x25
    address: Address
    y: Coordinate
    x: Coordinate
    accumulator: Annotated[int, Bits(16, "first accumulator vector")]
    vectors: Annotated[int, Bits(7, "channel vectors, at least 1")]
    kernel_columns: Annotated[int, Bits(7, "kernel columns, at least 1")]
    tile: Annotated[int, Bits(10, "crossbar tile")]
    accumulate: Annotated[int, Bits(1, "1: adds to the sums that are there")] = 0


@dataclass(frozen=True, kw_only=True)
class PostLoop(LoopLevel):
    """Set one level of POST's loop nest.

    The levels are 0 window x, 1 window y, 2 channel vector, 3 column and 4 row. The
    counts of levels 3 and 4 come with each POOL; those given here are not used.
    """

    opcode: ClassVar[int] = 0x30


@dataclass(frozen=True, kw_only=True)
class PostInput(ImageBounds):
    """Set the bounds of POOL's input image, the value outside of it, and the reduction."""

    opcode: ClassVar[int] = 0x31
    reduction: Annotated[int, Bits(1, "0 sum, 1 maximum")]


@dataclass(frozen=True, kw_only=True)
class PostOutput(Instruction):
    """Set how POST writes: address steps, requantiser mode, zero point and clamp."""

    opcode: ClassVar[int] = 0x32
    column_step: Step
    row_step: Step
    mode: Annotated[int, Bits(3, "a `RoundingMode` that the configuration has")]
    zero_point: Annotated[int, Bits(8, "added after scaling", signed=True)]
    low: Annotated[int, Bits(8, "smallest output", signed=True)]
    high: Annotated[int, Bits(8, "largest output", signed=True)]


@dataclass(frozen=True, kw_only=True)
class PostScale(Instruction):
    """Set the scale that ADD, POOL and uniform DRAINs use in every lane.

    `bias` is added before it, but by a DRAIN, which has those of its parameters.
    """

    opcode: ClassVar[int] = 0x33
    multiplier: Annotated[
        int, Bits(53, "below 2^31; else 0, or as many bits as FLOAT32 (24) and FLOAT64 (53) have")
    ]
    exponent: Annotated[int, Bits(8, "power of two, -31 to 30; any in a float mode", signed=True)]
    bias: Annotated[int, Bits(32, "added to every sum", signed=True)] = 0


@dataclass(frozen=True, kw_only=True)
class LoadParameters(Instruction):
    """Read bias, exponent and multiplier of C channels: byte planes, one weight vector each.

    The planes are the bias's 4 bytes, lowest first, the exponent, and the multiplier's bytes,
    lowest first: 4, or 7 for mode FLOAT64. Where a record brings only 4 its multipliers' upper
    bytes are zeros. One of 4 planes in all brings biases and leaves the rest as it is.
    """

    opcode: ClassVar[int] = 0x34
    address: Annotated[int, Bits(ADDRESS_BITS, "first weight vector")]
    planes: Annotated[int, Bits(4, "planes to read: 4, 9, or 12 where FLOAT64 is built")]


@dataclass(frozen=True, kw_only=True)
class LoadTable(Instruction):
    """Read one of the tables of ADD and MUL.

    It has 256 int32, little-endian, floor(C / 4) to a weight vector.
    """

    opcode: ClassVar[int] = 0x35
    address: Annotated[int, Bits(ADDRESS_BITS, "first weight vector")]
    table: Annotated[int, Bits(1, "0 for operand a, 1 for operand b")]


@dataclass(frozen=True, kw_only=True)
class Drain(Instruction):
    """Requantise a chunk of accumulators with the loaded parameters and store it.

    For every pixel (row, column), in accumulator order, and every v below `vectors`: scratchpad
    vector `output + row * row_step + column * column_step + v` takes, in lane j, array column
    v * R + j. Where the array has fewer columns than rows (C < R), lane j takes column j mod C, and
    only the lanes with j div C equal to `slice` are written. With `uniform` all columns have the
    multiplier and the exponent of POST_SCALE, and only their biases of the loaded parameters.
    """

    opcode: ClassVar[int] = 0x36
    accumulator: Annotated[int, Bits(16, "first accumulator vector")]
    output: Address
    rows: Extent
    columns: Extent
    vectors: Annotated[int, Bits(6, "vectors to a pixel, at least 1")]
    slice: Annotated[int, Bits(6, "which lanes are written where C < R, else 0")] = 0
    uniform: Annotated[int, Bits(1, "1: the scale is that of POST_SCALE")] = 0


@dataclass(frozen=True, kw_only=True)
class Elementwise(Instruction):
    """What ADD and MUL take."""

    a: Address
    b: Address
    output: Address
    count: Annotated[int, Bits(16, "number of vectors, at least 1")]
    b_vectors: Annotated[int, Bits(16, "vectors of b, after which it starts over; 0: never")] = 0


@dataclass(frozen=True, kw_only=True)
class Add(Elementwise):
    """Add two runs of vectors, each through its table, and scale the sums.

    For i below `count`, byte by byte: output[i] = scale(table a[a[i]] + table b[b[j]]), with
    j = i mod `b_vectors`, or i where that is 0. Sums wrap at 32 bits.
    """

    opcode: ClassVar[int] = 0x37


@dataclass(frozen=True, kw_only=True)
class Mul(Elementwise):
    """As ADD, but with products instead of sums.

    Of a table's entries only the lowest 9 bits count, read as -256 to 255.
    """

    opcode: ClassVar[int] = 0x39


@dataclass(frozen=True, kw_only=True)
class Pool(Instruction):
    """Reduce windows: sum or maximum over POST's levels 0 and 1, scaled and stored.

    The output vector of (row, column, channel vector v) is stored at
    `output + row * row_step + column * column_step + v`.
    """

    opcode: ClassVar[int] = 0x38
    address: Address
    y: Coordinate
    x: Coordinate
    output: Address
    rows: Extent
    columns: Extent


INSTRUCTIONS: tuple[type[Instruction], ...] = (
    Halt,
    LoadWeights,
    LoadDepthwise,
    MatrixLoop,
    MatrixInput,
    Matmul,
    DepthwiseWindow,
    Depthwise,
    Product,
    PostLoop,
    PostInput,
    PostOutput,
    PostScale,
    LoadParameters,
    LoadTable,
    Drain,
    Add,
    Pool,
    Mul,
)
"""Every instruction, by opcode."""

DEPTHWISE_INSTRUCTIONS: tuple[type[Instruction], ...] = (LoadDepthwise, DepthwiseWindow, Depthwise)
"""Those that only an NPU with a depthwise engine has."""

VECTOR_INSTRUCTIONS: tuple[type[Instruction], ...] = (
    PostLoop,
    PostInput,
    LoadTable,
    Add,
    Pool,
    Mul,
)
"""Those that only an NPU with vector operations has."""


def mnemonic(instruction: type[Instruction]) -> str:
    """The instruction's name in listings: `LoadWeights` is LOAD_WEIGHTS."""
    name = instruction.__name__
    return "".join("_" + c if c.isupper() and i else c for i, c in enumerate(name)).upper()


def _layout(instruction: type[Instruction]) -> Iterator[FieldLayout]:
    hints = get_type_hints(instruction, include_extras=True)
    offset = 8
    yield FieldLayout("opcode", 0, Bits(8, "operation; its high half names the unit"))
    for item in fields(instruction):
        (bits,) = (a for a in get_args(hints[item.name]) if isinstance(a, Bits))
        if item.name not in ("wait", "signal", "mark"):
            offset = max(offset, 24)
        yield FieldLayout(item.name, offset, bits)
        offset += bits.width
    if offset > INSTRUCTION_BITS:
        raise AssertionError(f"{instruction.__name__} takes {offset} bits")


_LAYOUTS = {cls: tuple(_layout(cls)) for cls in INSTRUCTIONS}
_BY_OPCODE = {cls.opcode: cls for cls in INSTRUCTIONS}


def decode(word: int) -> Instruction:
    """The instruction that a 128-bit word holds. Raises ValueError for an unknown opcode."""
    opcode = word & 0xFF
    if opcode not in _BY_OPCODE:
        raise ValueError(f"opcode must be one of the instruction set's, not {opcode:#04x}")
    return _BY_OPCODE[opcode]._from_word(word)
