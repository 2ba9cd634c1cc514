"""The machine: memories, sequencer and semaphores."""

from collections.abc import Callable
from typing import Any

import numpy as np

from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import (
    INSTRUCTION_BYTES,
    SEMAPHORE_MAXIMUM,
    Halt,
    Instruction,
    Semaphore,
    decode,
)
from celosia.golden.machine.crossbar import CrossbarUnit, TileEngine
from celosia.golden.machine.depthwise import DepthwiseUnit
from celosia.golden.machine.engine import ExactEngine, MatrixEngine
from celosia.golden.machine.matrix import MatrixUnit
from celosia.golden.machine.post import PostUnit


class Machine:
    """An NPU in numpy: executes instruction words one after another, in program order.

    After each instruction the memories hold what the hardware's hold once that instruction and all
    before it are complete. A semaphore that an instruction waits for must have been raised by an
    earlier instruction; so must the weights of a MATMUL or DEPTHWISE have been loaded.

    Attributes:
        config: the sizes.
        scratchpad: int8 [scratchpad_depth, R].
        weights: uint8 [weight_depth, C].
        accumulators: int32 [accumulator_depth, C].
        program_counter: weight vector of the next instruction.
        halted: HALT was executed, or no program was started.
        marks: layers marked since the start.
    """

    def __init__(
        self,
        config: NpuConfig,
        engine: MatrixEngine | None = None,
        tiles: TileEngine | None = None,
    ) -> None:
        self.config = config
        self.scratchpad = np.zeros((config.scratchpad_depth, config.rows), np.int8)
        self.weights = np.zeros((config.weight_depth, config.columns), np.uint8)
        self.accumulators = np.zeros((config.accumulator_depth, config.columns), np.int32)
        self._engine = ExactEngine() if engine is None else engine
        self._tiles = tiles
        self.start(0)
        self.halted = True

    def start(self, address: int) -> None:
        """Begin a program at a weight vector, with no settings, tiles or semaphores."""
        self.program_counter = address
        self.halted = False
        self.marks = 0
        self._semaphores = dict.fromkeys(Semaphore, 0)
        matrix = MatrixUnit(
            self.scratchpad,
            self.weights,
            self.accumulators,
            self._engine,
            self.config.coordinate_bits,
        )
        depthwise = DepthwiseUnit(
            self.config, matrix.nest, self.scratchpad, self.weights, self.accumulators
        )
        crossbar = CrossbarUnit(
            self.config, matrix.nest, self.scratchpad, self.accumulators, self._tiles
        )
        post = PostUnit(self.config, self.scratchpad, self.weights, self.accumulators)
        self._matrix = matrix
        self._depthwise = depthwise
        self._execute: dict[type[Instruction], Callable[[Any], None]] = {
            Halt: self._halt,
            **matrix.handlers,
            **depthwise.handlers,
            **crossbar.handlers,
            **post.handlers,
        }

    def run(self, address: int) -> None:
        """Run a program to its HALT.

        Raises:
            CelosiaError: the program can't be executed; the message names the instruction.
        """
        self.start(address)
        while not self.halted:
            self.step()

    def step(self) -> Instruction:
        """Execute one instruction and return it. Raises CelosiaError as `run` does."""
        address = self.program_counter
        instruction = self._fetch(address)
        try:
            self._take(instruction.wait)
            self._execute[type(instruction)](instruction)
            self._raise(instruction.signal)
        except CelosiaError as error:
            raise CelosiaError(
                f"instruction at weight vector {address} ({instruction}) can't be executed: {error}"
            ) from error
        self.marks += instruction.mark
        return instruction

    def _fetch(self, address: int) -> Instruction:
        vectors = self.config.instruction_vectors
        if not 0 <= address <= len(self.weights) - vectors:
            raise CelosiaError(
                f"program must end in HALT inside the weight memory, not run on to vector {address}"
            )
        word = self.weights[address : address + vectors].tobytes()[:INSTRUCTION_BYTES]
        try:
            instruction = decode(int.from_bytes(word, "little"))
        except ValueError as error:
            raise CelosiaError(f"instruction at weight vector {address}: {error}") from error
        self.program_counter = address + vectors
        return instruction

    def _take(self, wait: int) -> None:
        for semaphore in Semaphore:
            if semaphore & wait:
                if not self._semaphores[semaphore]:
                    raise CelosiaError(f"it waits for {semaphore.name}, which nothing has raised")
                self._semaphores[semaphore] -= 1

    def _raise(self, signal: int) -> None:
        for semaphore in Semaphore:
            if semaphore & signal:
                if self._semaphores[semaphore] == SEMAPHORE_MAXIMUM:
                    raise CelosiaError(
                        f"{semaphore.name} must be raised to {SEMAPHORE_MAXIMUM} at most"
                    )
                self._semaphores[semaphore] += 1

    def _halt(self, instruction: Halt) -> None:
        left = [f"{s.name} at {n}" for s, n in self._semaphores.items() if n]
        if self._matrix.waiting_tiles:
            left.append(f"{self._matrix.waiting_tiles} unused weight tiles")
        if self._depthwise.waiting_sets:
            left.append(f"{self._depthwise.waiting_sets} unused sets of depthwise weights")
        if left:
            raise CelosiaError(f"nothing must be left over, not {', '.join(left)}")
        self.halted = True
