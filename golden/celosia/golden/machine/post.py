"""POST of the golden machine: requantise sums, add tensors, pool windows."""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import (
    ADDRESS_BITS,
    FACTOR_BITS,
    VECTOR_INSTRUCTIONS,
    Add,
    Drain,
    Elementwise,
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
from celosia.golden.machine.loops import Handlers, LoopNest, chunk_of
from celosia.golden.quantization import (
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    requantize_float32_integer,
    requantize_float64,
    wrap_int32,
)
from celosia.golden.rounding import BIAS_PLANES, record_planes

_TABLE_ENTRIES = 256


class PostUnit:
    """Executes POST's instructions on the machine's memories."""

    def __init__(
        self,
        config: NpuConfig,
        scratchpad: NDArray[np.int8],
        weights: NDArray[np.uint8],
        accumulators: NDArray[np.int32],
    ) -> None:
        self._config = config
        self._scratchpad = scratchpad
        self._weights = weights
        self._accumulators = accumulators
        self._nest = LoopNest()
        self._reduction = Reduction.SUM
        self._output: PostOutput | None = None
        self._scale: PostScale | None = None
        self._bias: Int64Array | None = None
        self._scales: tuple[Int64Array, Int64Array] | None = None
        self._tables: dict[int, Int64Array] = {}

    @property
    def handlers(self) -> Handlers:
        """What executes each of POST's instructions; refuses those that the NPU doesn't have."""
        absent = () if self._config.vector_operations else VECTOR_INSTRUCTIONS
        return {
            PostLoop: self._nest.set_level,
            PostInput: self.post_input,
            PostOutput: self.post_output,
            PostScale: self.post_scale,
            LoadParameters: self.load_parameters,
            LoadTable: self.load_table,
            Drain: self.drain,
            Add: self.add,
            Mul: self.mul,
            Pool: self.pool,
            **dict.fromkeys(absent, self._refuse),
        }

    def _refuse(self, instruction: Instruction) -> None:
        raise CelosiaError(
            f"configuration '{self._config.name}' must have vector operations (vector_operations)"
        )

    def post_input(self, instruction: PostInput) -> None:
        """Set the image and the reduction."""
        self._nest.set_image(instruction)
        self._reduction = Reduction(instruction.reduction)

    def post_output(self, instruction: PostOutput) -> None:
        """Set how results are rounded, clamped and stored."""
        modes = self._config.modes
        if instruction.mode not in modes:
            names = ", ".join(f"{mode.name} ({mode:d})" for mode in sorted(modes))
            raise CelosiaError(
                f"mode must be one that the configuration's requantiser has ({names}), "
                f"not {instruction.mode}"
            )
        self._output = instruction

    def post_scale(self, instruction: PostScale) -> None:
        """Set the scale of ADD, MUL, POOL and uniform DRAINs."""
        self._scale = instruction

    def load_parameters(self, instruction: LoadParameters) -> None:
        """Read a parameter record."""
        lengths = {BIAS_PLANES, *(record_planes(mode) for mode in self._config.modes)}
        if instruction.planes not in lengths:
            known = ", ".join(map(str, sorted(lengths)))
            raise CelosiaError(f"planes must be one of {known}, not {instruction.planes}")
        planes = self._read(instruction.address, instruction.planes)
        self._bias = wrap_int32(_from_bytes(planes[:BIAS_PLANES]))
        if instruction.planes > BIAS_PLANES:
            exponent = planes[BIAS_PLANES].view(np.int8).astype(np.int64)
            self._scales = _from_bytes(planes[BIAS_PLANES + 1 :]), exponent

    def load_table(self, instruction: LoadTable) -> None:
        """Read one of the tables of ADD and MUL."""
        raw = self._read(instruction.address, self._config.table_vectors)
        entries = self._config.table_entries_per_vector
        words = np.ascontiguousarray(raw[:, : 4 * entries]).view("<i4").reshape(-1)
        self._tables[instruction.table] = words[:_TABLE_ENTRIES].astype(np.int64)

    def drain(self, instruction: Drain) -> None:
        """Requantise and store a chunk of accumulators."""
        config = self._config
        if self._bias is None or (self._scales is None and not instruction.uniform):
            raise CelosiaError("parameters must be loaded before this instruction")
        chunk = chunk_of(instruction, len(self._accumulators))
        if not 1 <= instruction.vectors <= config.tile_vectors:
            raise CelosiaError(
                f"vectors must be 1 to {config.tile_vectors}, not {instruction.vectors}"
            )
        if instruction.slice >= config.tile_slices:
            raise CelosiaError(
                f"slice must be 0 to {config.tile_slices - 1}, not {instruction.slice}"
            )
        sums = wrap_int32(self._accumulators[chunk].astype(np.int64) + self._bias)
        scales = self._scales
        if scales is None or instruction.uniform:
            scales = self._uniform_scale
        values = self._requantize(sums, *scales)
        lanes = np.arange(config.rows)
        mask = lanes // config.columns == instruction.slice
        column = lanes % config.columns
        if config.columns >= config.rows:
            mask[:] = True
        for v in range(instruction.vectors):
            vectors = values[:, v * config.rows + column if v else column]
            self._store(instruction, v, vectors, mask)

    def add(self, instruction: Add) -> None:
        """Add two runs of vectors through the tables."""
        a, b = self._terms(instruction)
        self._store_run(instruction, wrap_int32(a + b))

    def mul(self, instruction: Mul) -> None:
        """Multiply two runs of vectors through the tables."""
        a, b = self._terms(instruction)
        half = 1 << (FACTOR_BITS - 1)
        a, b = (((term + half) & (2 * half - 1)) - half for term in (a, b))
        self._store_run(instruction, a * b)

    def _terms(self, instruction: Elementwise) -> tuple[Int64Array, Int64Array]:
        """Table entries of both operands: [count, R]."""
        if len(self._tables) < 2:
            raise CelosiaError("both tables must be loaded before this instruction")
        if instruction.count < 1:
            raise CelosiaError("count must be at least 1, not 0")
        steps = np.arange(instruction.count)
        a = self._scratchpad[self._addresses(instruction.a + steps)].view(np.uint8)
        if instruction.b_vectors:
            steps %= instruction.b_vectors
        b = self._scratchpad[self._addresses(instruction.b + steps)].view(np.uint8)
        return self._tables[0][a], self._tables[1][b]

    def _store_run(self, instruction: Elementwise, values: Int64Array) -> None:
        output = self._addresses(instruction.output + np.arange(instruction.count))
        self._scratchpad[output] = self._scaled(values)

    def pool(self, instruction: Pool) -> None:
        """Reduce windows and store them."""
        if instruction.rows < 1 or instruction.columns < 1:
            raise CelosiaError("rows and columns must be at least 1")
        counts = (
            self._nest.count(0),
            self._nest.count(1),
            self._nest.count(2),
            instruction.columns,
            instruction.rows,
        )
        taps = self._nest.gather(
            self._scratchpad, (instruction.address, instruction.y, instruction.x), counts
        ).astype(np.int64)
        if self._reduction is Reduction.MAXIMUM:
            reduced = taps.max(axis=(3, 4))
        else:
            reduced = taps.sum(axis=(3, 4))
        values = self._scaled(reduced)
        pixels = instruction.rows * instruction.columns
        everywhere = np.ones(self._config.rows, bool)
        for v in range(counts[2]):
            self._store(instruction, v, values[:, :, v].reshape(pixels, -1), everywhere)

    @property
    def _scale_setting(self) -> PostScale:
        if self._scale is None:
            raise CelosiaError("the scale must be set before this instruction")
        return self._scale

    @property
    def _uniform_scale(self) -> tuple[Int64Array, Int64Array]:
        """Multiplier and exponent of every lane."""
        scale = self._scale_setting
        return np.array([scale.multiplier], np.int64), np.array([scale.exponent], np.int64)

    @property
    def _output_setting(self) -> PostOutput:
        if self._output is None:
            raise CelosiaError("the output must be set before this instruction")
        return self._output

    def _scaled(self, values: Int64Array) -> NDArray[np.int8]:
        total = wrap_int32(values + self._scale_setting.bias)
        return self._requantize(total, *self._uniform_scale)

    def _requantize(
        self, values: Int64Array, multiplier: Int64Array, exponent: Int64Array
    ) -> NDArray[np.int8]:
        setting = self._output_setting
        mode = RoundingMode(setting.mode)
        if mode is RoundingMode.FLOAT32:
            _check_multiplier(multiplier, 24)
            result = requantize_float32_integer(values, multiplier, exponent).astype(np.int64)
        elif mode is RoundingMode.FLOAT64:
            _check_multiplier(multiplier, 53)
            # The same rounding as the integer form: an exact mantissa, one float64 product.
            scale = np.ldexp(multiplier.astype(np.float64), exponent.astype(np.int32))
            result = requantize_float64(values, scale).astype(np.int64)
        else:
            _check_multiplier(multiplier, 31)
            if exponent.min() < -31 or exponent.max() > 30:
                raise CelosiaError("exponents must be -31 to 30 in an integer rounding mode")
            result = FixedPointScaler(multiplier, exponent, mode).scale(values.copy())
        result += setting.zero_point
        return np.clip(result, setting.low, setting.high).astype(np.int8)

    def _store(
        self,
        instruction: Drain | Pool,
        vector: int,
        values: NDArray[np.int8],
        mask: NDArray[np.bool_],
    ) -> None:
        setting = self._output_setting
        row = np.arange(instruction.rows)[:, None] * setting.row_step
        column = np.arange(instruction.columns) * setting.column_step
        addresses = self._addresses((instruction.output + row + column + vector).reshape(-1))
        self._scratchpad[addresses[:, None], np.flatnonzero(mask)] = values[:, mask]

    def _addresses(self, addresses: Int64Array) -> Int64Array:
        wrapped = addresses & ((1 << ADDRESS_BITS) - 1)
        beyond = wrapped >= len(self._scratchpad)
        if beyond.any():
            raise CelosiaError(
                f"scratchpad address must be below {len(self._scratchpad)}, "
                f"not {int(wrapped[beyond][0])}"
            )
        return np.asarray(wrapped)

    def _read(self, address: int, count: int) -> NDArray[np.uint8]:
        if address + count > len(self._weights):
            raise CelosiaError(
                f"weight address must be at most {len(self._weights) - count}, not {address}"
            )
        return self._weights[address : address + count]


def _from_bytes(planes: NDArray[np.uint8]) -> Int64Array:
    """Unsigned numbers of byte planes [bytes, n], lowest first."""
    shifts = 8 * np.arange(len(planes), dtype=np.int64)
    return np.asarray((planes.astype(np.int64) << shifts[:, None]).sum(axis=0))


def _check_multiplier(multiplier: Int64Array, bits: int) -> None:
    if multiplier.max() >= 1 << bits:
        raise CelosiaError(f"multipliers must have at most {bits} bits in this rounding mode")
