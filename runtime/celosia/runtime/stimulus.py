"""A program's runs as text: bus accesses for testbenches and firmware that aren't ours.

Each line is one access to a 32-bit word, with numbers in hexadecimal:

    w ADDRESS DATA      write
    p ADDRESS MASK      read until any of these bits is set
    r ADDRESS WORD      read; the NPU must answer with this word, which is the golden machine's
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Program, Write
from celosia.golden.bus_window import window_address
from celosia.golden.memory_map import (
    IDENTITY,
    WORD_BYTES,
    Region,
    Register,
    Status,
    memory_geometry,
)
from celosia.runtime.golden_device import GoldenDevice
from celosia.sim.host_script import AccessKind, HostScript, bus_words

_NO_LIMIT = (1 << 32) - 1  # whoever carries it out has time-outs of their own


def stimulus(
    program: Program, runs: Sequence[Sequence[Write]], *, window: bool = False
) -> Iterator[str]:
    """The lines of a file: check the identity, load the program, then run it on each input.

    Args:
        program: without crossbar tiles.
        runs: the host's writes for each run, for the program's first entry.
        window: addresses are those of `celosia.golden.bus_window`, not of the memory map.
    """
    config = program.config
    script = HostScript(config)
    image = np.frombuffer(program.image, np.uint8).reshape(-1, config.columns)
    script.write_vectors(Region.WEIGHTS, 0, image)
    expected: list[NDArray[np.uint32]] = []
    scratchpad = memory_geometry(config, Region.SCRATCHPAD)
    for number, inference in enumerate(GoldenDevice(program).run(runs)):
        entry = number % len(program.starts)
        for address, vectors in program.writes_for(entry, runs[number]):
            script.write_vectors(Region.SCRATCHPAD, address, vectors)
        script.start(program.starts[entry])
        script.poll(Status.DONE, _NO_LIMIT)
        for port, vectors in zip(program.outputs, inference.reads, strict=True):
            script.read_vectors(Region.SCRATCHPAD, port.addresses[entry], len(vectors))
            expected.append(bus_words(scratchpad, vectors))

    def place(address: int) -> str:
        return f"{window_address(config, address) if window else address:08x}"

    yield f"r {place(Register.IDENTITY)} {IDENTITY:08x}\n"
    answers = iter(expected)
    for access in script.accesses():
        if access.kind is AccessKind.POLL:
            yield f"p {place(access.address)} {access.mask:08x}\n"
            continue
        letter, words = ("w", access.words) if len(access.words) else ("r", next(answers))
        for number, word in enumerate(words):
            yield f"{letter} {place(access.address + number * WORD_BYTES)} {word:08x}\n"
