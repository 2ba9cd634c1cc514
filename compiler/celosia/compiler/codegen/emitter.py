"""The list of instructions while it grows."""

from collections.abc import Mapping
from dataclasses import replace

from celosia.compiler.assembler import ImageBuilder
from celosia.golden.config import NpuConfig
from celosia.golden.isa import Instruction, Semaphore, Unit


class Emitter:
    """Collects instructions, and settings only where they differ from what a unit has.

    Attributes:
        addresses: where the body's tensors stand in the scratchpad, in vectors.
        image: takes the constants.
        instructions: what there is so far.
        last_post: position of POST's last instruction.
        drains: positions of the DRAINs, one for each chunk of sums.
    """

    def __init__(
        self, addresses: Mapping[int, int], config: NpuConfig, image: ImageBuilder
    ) -> None:
        self.addresses = addresses
        self.config = config
        self.image = image
        self.instructions: list[Instruction] = []
        self.last_post = -1
        self.drains: list[int] = []
        self._settings: dict[object, Instruction] = {}

    def emit(self, instruction: Instruction) -> None:
        """Append an instruction. Raises ValueError where a field of it is out of range."""
        instruction.encode()
        if instruction.unit() is Unit.POST:
            self.last_post = len(self.instructions)
        self.instructions.append(instruction)

    def set(self, key: object, instruction: Instruction) -> None:
        """Emit a setting unless it is what the unit already has."""
        if self._settings.get(key) != instruction:
            self._settings[key] = instruction
            self.emit(instruction)

    def change(self, position: int, **fields: int) -> None:
        """Give an instruction other fields."""
        # A mark isn't a setting: those are compared by what they were before.
        self.instructions[position] = replace(self.instructions[position], **fields)

    def signal(self, position: int, semaphore: Semaphore) -> None:
        """Let an instruction signal one semaphore more."""
        self.change(position, signal=self.instructions[position].signal | semaphore)
