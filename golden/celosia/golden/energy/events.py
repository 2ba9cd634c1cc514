"""What a program makes the hardware do: events that cost energy, counted layer by layer."""

from collections.abc import Iterable
from enum import StrEnum
from math import prod

from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.config import INPUT_BITS
from celosia.golden.isa import (
    INSTRUCTION_BYTES,
    Depthwise,
    DepthwiseWindow,
    Drain,
    Elementwise,
    Instruction,
    LoadDepthwise,
    LoadParameters,
    LoadTable,
    LoadWeights,
    Matmul,
    MatrixLoop,
    Pool,
    PostLoop,
    Product,
)
from celosia.golden.machine.loops import LoopNest

_PASS_LEVELS = (2, 3, 4)
_WINDOW_LEVELS, _VECTOR_LEVEL = (0, 1), 2


class Event(StrEnum):
    """What is counted."""

    MAC = "int8 multiply-accumulate of a cell of the array or a tap of the depthwise unit"
    WEIGHT_BYTE = "byte read from the weight memory: weights, parameters, tables, instructions"
    SCRATCHPAD_BYTE = "byte read from or written to the scratchpad"
    ACCUMULATOR_BYTE = "byte read from or written to the accumulators"
    REQUANTISATION = "sum that POST scales, rounds and clamps"
    ROW_DRIVE = "bit that a crossbar's row driver puts on its row"
    CELL_READ = "cell of a crossbar that a driven row puts under the read voltage"
    CONVERSION = "conversion of a crossbar's column"
    SHIFT_ADD = "code of a crossbar that joins its column's sum"


Events = dict[Event, int]
"""How often each happened."""


def count_events(config: NpuConfig, program: Iterable[Instruction], layers: int) -> list[Events]:
    """Events of each of `layers` layers of a program; the last one has what follows its mark.

    Every cell of the array counts with every vector that passes it, whether a channel uses it or
    not: an upper bound, as cells that multiply zeros switch little. So does every cell of a
    crossbar tile for every bit of its inputs, as if all bits were set, and none issued twice.
    """
    counter = _Counter(config)
    for instruction in program:
        counter.count(instruction)
    ended = counter.ended
    if len(ended) > layers:
        for event, times in ended.pop().items():
            ended[-1][event] += times
    return ended


class _Counter:
    """Adds up instruction after instruction."""

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        self._matrix, self._post = LoopNest(), LoopNest()
        self._taps = 0
        self._now = dict.fromkeys(Event, 0)
        self._layers: list[Events] = []

    @property
    def ended(self) -> list[Events]:
        """Events up to each mark, and those behind the last one."""
        return [*self._layers, self._now]

    def count(self, instruction: Instruction) -> None:
        """Count what one instruction does, its fetch included."""
        self._now[Event.WEIGHT_BYTE] += INSTRUCTION_BYTES
        config = self._config
        match instruction:
            case MatrixLoop():
                self._matrix.set_level(instruction)
            case PostLoop():
                self._post.set_level(instruction)
            case LoadWeights():
                self._now[Event.WEIGHT_BYTE] += instruction.tiles * config.rows * config.columns
            case LoadDepthwise():
                self._now[Event.WEIGHT_BYTE] += instruction.vectors * config.columns
            case LoadParameters():
                self._now[Event.WEIGHT_BYTE] += instruction.planes * config.columns
            case LoadTable():
                self._now[Event.WEIGHT_BYTE] += config.table_vectors * config.columns
            case Matmul():
                passes = prod(self._matrix.count(level) for level in _PASS_LEVELS)
                self._multiply(instruction.rows * instruction.columns, passes, instruction)
            case DepthwiseWindow():
                self._taps = instruction.rows * instruction.groups * config.depthwise_taps
            case Depthwise():
                self._multiply_lanes(instruction)
            case Product():
                self._product(instruction)
            case Drain():
                pixels = instruction.rows * instruction.columns
                self._now[Event.ACCUMULATOR_BYTE] += 4 * config.columns * pixels
                self._store(pixels * instruction.vectors)
            case Elementwise():
                self._now[Event.SCRATCHPAD_BYTE] += 2 * instruction.count * config.rows
                self._store(instruction.count)
            case Pool():
                vectors = instruction.rows * instruction.columns * self._post.count(_VECTOR_LEVEL)
                taps = prod(self._post.count(level) for level in _WINDOW_LEVELS)
                self._now[Event.SCRATCHPAD_BYTE] += vectors * taps * config.rows
                self._store(vectors)
        if instruction.mark:
            self._layers.append(self._now)
            self._now = dict.fromkeys(Event, 0)

    def _multiply(self, pixels: int, passes: int, matmul: Matmul) -> None:
        """Vectors through the array; all but the first sums are added to what is there."""
        config = self._config
        vectors = pixels * passes
        self._now[Event.MAC] += vectors * config.macs
        self._now[Event.SCRATCHPAD_BYTE] += vectors * config.rows
        read = vectors if matmul.accumulate else vectors - pixels
        self._now[Event.ACCUMULATOR_BYTE] += 4 * config.columns * (vectors + read)

    def _multiply_lanes(self, depthwise: Depthwise) -> None:
        """A strip into the depthwise unit, and its window over every output."""
        config = self._config
        strip = depthwise.strip_rows * depthwise.strip_columns
        outputs = depthwise.rows * depthwise.columns
        self._now[Event.SCRATCHPAD_BYTE] += strip * config.rows
        self._now[Event.MAC] += outputs * self._taps * config.depthwise_lanes
        self._now[Event.ACCUMULATOR_BYTE] += 4 * config.columns * outputs

    def _product(self, product: Product) -> None:
        """A crossbar tile, for every pixel of a chunk."""
        config, nest = self._config, self._matrix
        tiles = config.crossbar
        assert tiles is not None
        pixels = nest.count(3) * nest.count(4)
        vectors = product.vectors * product.kernel_columns * nest.count(2)
        bits = pixels * INPUT_BITS
        self._now[Event.SCRATCHPAD_BYTE] += pixels * vectors * config.rows
        self._now[Event.ROW_DRIVE] += bits * vectors * config.rows
        self._now[Event.CELL_READ] += bits * vectors * config.rows * tiles.columns
        self._now[Event.CONVERSION] += bits * tiles.columns
        self._now[Event.SHIFT_ADD] += bits * tiles.columns
        accesses = 2 if product.accumulate else 1
        self._now[Event.ACCUMULATOR_BYTE] += 4 * config.columns * pixels * accesses

    def _store(self, vectors: int) -> None:
        """Vectors through the requantiser into the scratchpad."""
        self._now[Event.REQUANTISATION] += vectors * self._config.rows
        self._now[Event.SCRATCHPAD_BYTE] += vectors * self._config.rows
