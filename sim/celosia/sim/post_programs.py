"""Random programs of POST instructions, with all that the golden machine says about them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import NpuConfig
from celosia.golden.isa import (
    Add,
    Drain,
    Instruction,
    LoadParameters,
    LoadTable,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
    Reduction,
)
from celosia.golden.machine.post import PostUnit
from celosia.golden.rounding import BIAS_PLANES, RoundingMode, record_planes

MULTIPLIER_BITS = {RoundingMode.FLOAT32: 24, RoundingMode.FLOAT64: 53}  # the others: 31
Pair = tuple[int, int]
Write = tuple[int, int, bytes]
"""Address, mask, and the bytes of all lanes with zeros in those that aren't written."""


@dataclass
class PostProgram:
    """Instructions, the memories before them, and what they do.

    Attributes:
        instructions: in order.
        writes: of each instruction, the writes in order.
        scratchpad, weights, accumulators: memories before the first instruction.
    """

    config: NpuConfig
    scratchpad: NDArray[np.int8]
    weights: NDArray[np.uint8]
    accumulators: NDArray[np.int32]
    instructions: list[Instruction] = field(default_factory=list)
    writes: list[list[Write]] = field(default_factory=list)


class PostProgramWriter:
    """Writes programs whose every value is legal and which read nothing that is unknown.

    Each instruction is executed by the golden machine's POST as it is appended.
    """

    def __init__(self, config: NpuConfig, rng: random.Random) -> None:
        self._config = config
        self._rng = rng
        values = np.random.default_rng(rng.getrandbits(64))
        lanes, columns = config.rows, config.columns
        scratchpad = values.integers(-128, 128, (config.scratchpad_depth, lanes), np.int8)
        weights = values.integers(0, 256, (config.weight_depth, columns), np.uint8)
        shape = (config.accumulator_depth, columns)
        full = values.integers(-(1 << 31), 1 << 31, shape)
        accumulators = (full >> values.integers(0, 32, shape)).astype(np.int32)
        self._values = values
        self._scratchpad = scratchpad.copy()
        self._weights = weights
        self._post = PostUnit(config, self._scratchpad, weights, accumulators)
        self.program = PostProgram(config, scratchpad, weights, accumulators)
        self._modes = sorted(config.modes)
        self._free_weights = 0
        self._records = {mode: [self._record(mode) for _ in range(2)] for mode in self._modes}
        self._tables = [self._table() for _ in range(2)] if config.vector_operations else []

    def append(self, instruction: Instruction, writes: list[tuple[int, int]] | None = None) -> None:
        """Append an instruction and execute it; `writes` are its addresses and masks, in order."""
        self._post.handlers[type(instruction)](instruction)
        expected = []
        for address, mask in writes or []:
            lanes = [mask >> lane & 1 for lane in range(self._config.rows)]
            vector = np.where(lanes, self._scratchpad[address], 0).astype(np.int8)
            expected.append((address, mask, vector.tobytes()))
        self.program.instructions.append(instruction)
        self.program.writes.append(expected)

    def random_step(self) -> None:
        """Append work of a random kind with the settings that it needs."""
        steps: list[Callable[[], None]] = [self.drains]
        if self._config.vector_operations:
            steps += [self.drains, self.add, self.mul, self.pool]
        self._rng.choice(steps)()

    def drains(self, count: int | None = None, size: Pair | None = None) -> None:
        """One to four DRAINs with one setting; `size` is rows and columns."""
        rng, config = self._rng, self._config
        mode = rng.choice(self._modes)
        address = rng.choice(self._records[mode])
        planes = record_planes(mode)
        self.append(LoadParameters(address=address, planes=planes, **self._common()))
        if rng.random() < 0.3:
            address = rng.choice(self._records[rng.choice(self._modes)])
            self.append(LoadParameters(address=address, planes=BIAS_PLANES, **self._common()))
        self._scale(mode)
        rows, columns = size or (rng.randint(1, 3), rng.randint(1, 6))
        vectors = rng.randint(1, config.tile_vectors)
        addresses, output, steps = self._place(rows, columns, vectors)
        self.append(self._output(mode, *steps))
        for _ in range(count or rng.randint(1, 4)):
            slice_ = rng.randrange(config.tile_slices)
            mask = (1 << config.rows) - 1
            if config.tile_slices > 1:
                mask &= ((1 << config.columns) - 1) << slice_ * config.columns
            self.append(
                Drain(
                    accumulator=rng.randint(0, config.accumulator_depth - rows * columns),
                    output=output,
                    rows=rows,
                    columns=columns,
                    vectors=vectors,
                    slice=slice_,
                    uniform=rng.getrandbits(1),
                    **self._common(),
                ),
                [(address, mask) for address in addresses],
            )

    def add(self, count: int | None = None) -> None:
        """An ADD, sometimes in place, with tables and scale."""
        self._elementwise(Add, count)

    def mul(self, count: int | None = None) -> None:
        """A MUL, sometimes in place, with tables and scale."""
        self._elementwise(Mul, count)

    def _elementwise(self, kind: type[Add | Mul], count: int | None) -> None:
        rng = self._rng
        for table in (0, 1):
            if rng.random() < 0.4 or not any(
                isinstance(i, LoadTable) and i.table == table for i in self.program.instructions
            ):
                address = rng.choice(self._tables)
                self.append(LoadTable(address=address, table=table, **self._common()))
        self._scale_and_output((0, 0))
        count = count or rng.randint(1, 12)
        b_vectors = rng.choice([0, 0, 1, rng.randint(1, count), count + 1])
        a, b, output = self._regions(count, count, count)
        output = rng.choice([a, output] if b_vectors else [a, b, output])
        self.append(
            kind(a=a, b=b, output=output, count=count, b_vectors=b_vectors, **self._common()),
            [(output + i, (1 << self._config.rows) - 1) for i in range(count)],
        )

    def pool(
        self, taps: tuple[int, int] | None = None, size: tuple[int, int] | None = None
    ) -> None:
        """A POOL over an image with padding; `size` is rows and columns of the output."""
        rng = self._rng
        kh, kw = taps or (rng.randint(1, 3), rng.randint(1, 3))
        rows, columns = size or (rng.randint(1, 3), rng.randint(1, 3))
        depth, stride = rng.randint(1, 2), rng.randint(1, 2)
        top, left = rng.randint(0, kh - 1), rng.randint(0, kw - 1)
        height = max(1, (rows - 1) * stride + kh - top - rng.randint(0, 1))
        width = max(1, (columns - 1) * stride + kw - left - rng.randint(0, 1))
        image = height * width * depth
        addresses, output, steps = self._place(rows, columns, depth, apart=image)
        low = min(addresses)
        address = low - image if low >= image else max(addresses) + 1
        row_vectors = width * depth
        levels = [
            (kw, depth, 0, 1),
            (kh, row_vectors, 1, 0),
            (depth, 1, 0, 0),
            (1, stride * depth, 0, stride),
            (1, stride * row_vectors, stride, 0),
        ]
        for level, (count, address_step, y_step, x_step) in rng.sample(list(enumerate(levels)), 5):
            self.append(
                PostLoop(
                    level=level,
                    count=count,
                    address_step=address_step,
                    y_step=y_step,
                    x_step=x_step,
                    **self._common(),
                )
            )
        self.append(
            PostInput(
                height=height,
                width=width,
                padding=rng.choice([0, -128, 17]),
                reduction=rng.choice(list(Reduction)),
                **self._common(),
            )
        )
        self._scale_and_output(steps)
        self.append(
            Pool(
                address=address - (top * width + left) * depth,
                y=-top,
                x=-left,
                output=output,
                rows=rows,
                columns=columns,
                **self._common(),
            ),
            [(a, (1 << self._config.rows) - 1) for a in addresses],
        )

    def _place(
        self, rows: int, columns: int, vectors: int, apart: int = 0
    ) -> tuple[list[int], int, tuple[int, int]]:
        """Addresses of an output, its first, and its column and row steps, of either sign.

        Leaves `apart` vectors free on one side of it.
        """
        rng = self._rng
        column = vectors + rng.randint(0, 2)
        row = columns * column + rng.randint(0, 3)
        column, row = rng.choice([column, -column]), rng.choice([row, -row])
        offsets = [
            r * row + c * column + v
            for r in range(rows)
            for c in range(columns)
            for v in range(vectors)
        ]
        low, high = -min(offsets), self._config.scratchpad_depth - 1 - max(offsets)
        if apart:
            low, high = rng.choice([(low + apart, high), (low, high - apart)])
        output = rng.randint(low, high)
        return [output + offset for offset in offsets], output, (column, row)

    def _regions(self, *sizes: int) -> list[int]:
        """First addresses of regions that don't overlap."""
        gaps = self._config.scratchpad_depth - sum(sizes)
        order = self._rng.sample(range(len(sizes)), len(sizes))
        starts, position = [0] * len(sizes), 0
        for index in order:
            gap = self._rng.randint(0, gaps)
            position, gaps = position + gap, gaps - gap
            starts[index] = position
            position += sizes[index]
        return starts

    def _common(self) -> dict[str, int]:
        rng = self._rng
        return {
            "wait": rng.choice([0, 0, 0, 1, 2, 5]),
            "signal": rng.choice([0, 0, 2, 4, 6]),
            "mark": int(rng.random() < 0.2),
        }

    def _output(self, mode: RoundingMode, column_step: int, row_step: int) -> PostOutput:
        low, high = sorted(self._rng.randint(-128, 127) for _ in range(2))
        if self._rng.random() < 0.7:
            low, high = -128, 127
        return PostOutput(
            column_step=column_step,
            row_step=row_step,
            mode=mode,
            zero_point=self._rng.randint(-128, 127),
            low=low,
            high=high,
            **self._common(),
        )

    def _scale_and_output(self, steps: tuple[int, int]) -> None:
        rng = self._rng
        mode = rng.choice(self._modes)
        self._scale(mode)
        self.append(self._output(mode, *steps))

    def _scale(self, mode: RoundingMode) -> None:
        rng = self._rng
        bits = MULTIPLIER_BITS.get(mode, 31)
        self.append(
            PostScale(
                multiplier=rng.randrange(1 << bits - 1, 1 << bits),
                exponent=self._exponent(mode, rng.randint(-12, 2)),
                bias=rng.randint(-300, 300),
                **self._common(),
            )
        )

    def _exponent(self, mode: RoundingMode, exponent: int) -> int:
        return exponent - MULTIPLIER_BITS.get(mode, 0)

    def _record(self, mode: RoundingMode) -> int:
        """A parameter record in the weight memory; its address."""
        config, values = self._config, self._values
        columns = config.columns
        bias = values.integers(-(1 << 12), 1 << 12, columns)
        bias[0] = self._rng.choice([-(1 << 30), 1 << 30])
        bits = MULTIPLIER_BITS.get(mode, 31)
        multiplier = values.integers(1 << bits - 1, 1 << bits, columns)
        multiplier[1] = 0
        exponent = values.integers(-20, 3, columns) - MULTIPLIER_BITS.get(mode, 0)
        planes = [bias >> 8 * k for k in range(BIAS_PLANES)]
        planes += [
            exponent,
            *(multiplier >> 8 * k for k in range(record_planes(mode) - BIAS_PLANES - 1)),
        ]
        return self._store((np.array(planes) & 0xFF).astype(np.uint8))

    def _table(self) -> int:
        """A table in the weight memory; its address."""
        config = self._config
        entries = config.table_entries_per_vector
        words = self._values.integers(-(1 << 12), 1 << 12, config.table_vectors * entries)
        words[: len(words) // 2] <<= 17  # sums of two wrap now and then
        raw = words.astype("<i4").view(np.uint8).reshape(config.table_vectors, 4 * entries)
        vectors = self._values.integers(0, 256, (len(raw), config.columns), np.uint8)
        vectors[:, : 4 * entries] = raw
        return self._store(vectors)

    def _store(self, vectors: NDArray[np.uint8]) -> int:
        address = self._free_weights
        self._free_weights += len(vectors) + self._rng.randint(0, 3)
        self._weights[address : address + len(vectors)] = vectors
        return address
