"""The weight memory's image: constants first, each stored once, then the instructions."""

from collections.abc import Sequence
from dataclasses import replace

from celosia.compiler.names import short_name
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.isa import INSTRUCTION_BYTES, Halt, Instruction, Product, decode


class ImageBuilder:
    """Collects constants and gives them their addresses."""

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        self._parts: list[bytes] = []
        self._vectors = 0
        self._addresses: dict[bytes, int] = {}
        self._bytes_of: dict[str, int] = {}

    @property
    def vectors(self) -> int:
        """Vectors so far."""
        return self._vectors

    def add(self, data: bytes, owner: str) -> int:
        """Store whole vectors for the layer `owner`, unless they are there; returns the address."""
        address = self._addresses.get(data)
        if address is None:
            address = self._vectors
            self._addresses[data] = address
            self._parts.append(data)
            self._vectors += len(data) // self._config.columns
            self._bytes_of[owner] = self._bytes_of.get(owner, 0) + len(data)
        return address

    def finish(self, instructions: Sequence[Instruction]) -> bytes:
        """The whole image. The first instruction stands behind the constants.

        Raises:
            DoesNotFit: the weight memory is too small; the message names what takes most.
        """
        config = self._config
        size = config.instruction_vectors * config.columns
        words = [
            instruction.encode().to_bytes(INSTRUCTION_BYTES, "little").ljust(size, b"\0")
            for instruction in instructions
        ]
        image = b"".join([*self._parts, *words])
        available = config.weight_depth * config.columns
        if len(image) > available:
            shares = {**self._bytes_of, "the instructions": size * len(words)}
            largest = sorted(shares.items(), key=lambda item: -item[1])[:3]
            listed = ", ".join(
                f"{name if name == 'the instructions' else repr(short_name(name))} ({count} bytes)"
                for name, count in largest
            )
            raise DoesNotFit(
                f"weights, tables and program need {len(image)} bytes of weight memory, "
                f"{len(image) - available} more than the {available} of configuration "
                f"'{config.name}'; the largest are {listed}; weight_kib must be at least "
                f"{-(-len(image) // 1024)}"
            )
        return image


def renumber_tiles(config: NpuConfig, image: bytes, start: int, numbers: Sequence[int]) -> bytes:
    """The image with crossbar tile t called `numbers[t]` in the program from vector `start` on."""
    changed = bytearray(image)
    for address, instruction in disassemble(config, image, start):
        if isinstance(instruction, Product):
            word = replace(instruction, tile=numbers[instruction.tile]).encode()
            first = address * config.columns
            changed[first : first + INSTRUCTION_BYTES] = word.to_bytes(INSTRUCTION_BYTES, "little")
    return bytes(changed)


def disassemble(config: NpuConfig, image: bytes, start: int) -> list[tuple[int, Instruction]]:
    """The instructions from weight vector `start` to HALT, each with its address.

    Raises:
        CelosiaError: a word holds no instruction, or the image ends before a HALT.
    """
    size = config.instruction_vectors * config.columns
    listing = []
    for offset in range(start * config.columns, len(image) - size + 1, size):
        word = image[offset : offset + INSTRUCTION_BYTES]
        address = offset // config.columns
        try:
            instruction = decode(int.from_bytes(word, "little"))
        except ValueError as error:
            raise CelosiaError(f"instruction at weight vector {address}: {error}") from error
        listing.append((address, instruction))
        if isinstance(instruction, Halt):
            return listing
    raise CelosiaError("program must end in HALT inside its image")
