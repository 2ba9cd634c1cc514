"""The depthwise engine of the golden machine: windows summed lane by lane."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import DEPTHWISE_STRIP_ROWS, DEPTHWISE_WORDS, NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import Depthwise, DepthwiseWindow, Instruction, LoadDepthwise
from celosia.golden.machine.loops import Handlers, LoopNest, chunk_of
from celosia.golden.quantization import Int64Array, wrap_int32


class DepthwiseUnit:
    """Executes the depthwise instructions of LOAD and MATRIX on the machine's memories."""

    def __init__(
        self,
        config: NpuConfig,
        nest: LoopNest,
        scratchpad: NDArray[np.int8],
        weights: NDArray[np.uint8],
        accumulators: NDArray[np.int32],
    ) -> None:
        self._config = config
        self._nest = nest
        self._scratchpad = scratchpad
        self._weights = weights.view(np.int8)
        self._accumulators = accumulators
        self._window: DepthwiseWindow | None = None
        self._sets: deque[LoadDepthwise] = deque()

    @property
    def handlers(self) -> Handlers:
        """What executes each instruction; refuses all where there is no engine."""
        if not self._config.depthwise_taps:
            return dict.fromkeys((LoadDepthwise, DepthwiseWindow, Depthwise), self._refuse)
        return {
            LoadDepthwise: self.load_depthwise,
            DepthwiseWindow: self.depthwise_window,
            Depthwise: self.depthwise,
        }

    @property
    def waiting_sets(self) -> int:
        """Sets of weights that were loaded and not yet used."""
        return len(self._sets)

    def load_depthwise(self, instruction: LoadDepthwise) -> None:
        """Queue a set, by its address (the weight memory doesn't change while running)."""
        most = DEPTHWISE_WORDS * self._config.depthwise_taps
        if not 1 <= instruction.vectors <= most:
            raise CelosiaError(f"vectors must be 1 to {most}, not {instruction.vectors}")
        end = instruction.address + instruction.vectors
        if end > len(self._weights):
            raise CelosiaError(
                f"weights must end at weight vector {len(self._weights)} at the latest, not {end}"
            )
        self._sets.append(instruction)

    def depthwise_window(self, instruction: DepthwiseWindow) -> None:
        """Set the window and the lanes."""
        window, taps = instruction, self._config.depthwise_taps
        self._check("kernel rows", window.rows, 1, DEPTHWISE_STRIP_ROWS)
        self._check("kernel columns", window.columns, 1, self._config.depthwise_columns)
        if window.groups != -(-window.columns // taps):
            raise CelosiaError(
                f"groups must be {-(-window.columns // taps)} for {window.columns} kernel columns "
                f"and {taps} taps, not {window.groups}"
            )
        self._check("kernel rows x groups", window.rows * window.groups, 1, DEPTHWISE_WORDS)
        self._check("stride_y", window.stride_y, 1, window.limits("stride_y")[1])
        self._check("stride_x", window.stride_x, 1, window.limits("stride_x")[1])
        self._check("multiplier", window.multiplier, 1, window.limits("multiplier")[1])
        self._check("phase", window.phase, 0, window.multiplier - 1)
        self._window = window

    def depthwise(self, instruction: Depthwise) -> None:
        """One chunk."""
        window = self._window
        if window is None:
            raise CelosiaError("the depthwise window must be set before this instruction")
        rows, columns = instruction.rows, instruction.columns
        chunk = chunk_of(instruction, len(self._accumulators))
        strip = (
            (rows - 1) * window.stride_y + window.rows,
            (columns - 1) * window.stride_x + window.columns,
        )
        if (instruction.strip_rows, instruction.strip_columns) != strip:
            raise CelosiaError(
                f"the strip must have {strip[0]} rows and {strip[1]} columns for this chunk, "
                f"not {instruction.strip_rows} and {instruction.strip_columns}"
            )
        self._check("strip rows", strip[0], 1, DEPTHWISE_STRIP_ROWS)
        vectors = self._nest.gather(
            self._scratchpad, (instruction.address, instruction.y, instruction.x), strip
        )  # [strip columns, strip rows, R]
        lanes = self._lanes(vectors.astype(np.int64), window)
        weights = self._next_weights(window)
        sums = np.zeros((columns, rows, lanes.shape[-1]), np.int64)
        for ky, kx in np.ndindex(weights.shape[:2]):
            taps = lanes[kx :: window.stride_x, ky :: window.stride_y]
            sums += taps[:columns, :rows] * weights[ky, kx]
        self._accumulators[chunk] = 0
        self._accumulators[chunk, : lanes.shape[-1]] = wrap_int32(sums).reshape(rows * columns, -1)

    def _lanes(self, vectors: Int64Array, window: DepthwiseWindow) -> Int64Array:
        """What the engine's lanes take of each vector [.., R]; 0 beyond its end."""
        lane = np.arange(self._config.depthwise_lanes)
        lane = window.lane + (window.phase + lane) // window.multiplier
        inside = lane < self._config.rows
        return np.asarray(np.where(inside, vectors[..., np.where(inside, lane, 0)], 0))

    def _next_weights(self, window: DepthwiseWindow) -> Int64Array:
        """The next set: [kernel rows, kernel columns, lanes]."""
        if not self._sets:
            raise CelosiaError("depthwise weights must be loaded before this instruction")
        loaded = self._sets.popleft()
        taps = self._config.depthwise_taps
        count = window.rows * window.groups * taps
        if loaded.vectors != count:
            raise CelosiaError(
                f"its weights must be {count} vectors, not the {loaded.vectors} that were loaded"
            )
        words = self._weights[loaded.address : loaded.address + count]
        words = words[:, : self._config.depthwise_lanes]
        in_groups = words.reshape(window.groups, window.rows, taps, -1).astype(np.int64)
        grid = in_groups.transpose(1, 0, 2, 3).reshape(window.rows, window.groups * taps, -1)
        if grid[:, window.columns :].any():
            raise CelosiaError("weights of kernel columns that the window doesn't have must be 0")
        return grid[:, : window.columns]

    @staticmethod
    def _check(what: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise CelosiaError(f"{what} must be {low} to {high}, not {value}")

    def _refuse(self, instruction: Instruction) -> None:
        raise CelosiaError(
            f"configuration '{self._config.name}' must have a depthwise engine (depthwise_taps)"
        )
