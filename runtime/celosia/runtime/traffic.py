"""What crosses the host's bus for one inference."""

from dataclasses import dataclass

from celosia.compiler.program import Port, Program
from celosia.compiler.streaming import StreamedProgram


@dataclass(frozen=True)
class HostBytes:
    """Bytes between host and NPU: programs with their weights; vectors in and out."""

    weights: int
    inputs: int
    outputs: int


def host_bytes(program: Program | StreamedProgram) -> HostBytes:
    """What one inference moves when nothing is in the NPU's memories.

    A program stays for all pieces of it that follow each other.
    """
    if isinstance(program, Program):
        return HostBytes(
            weights=len(program.image),
            inputs=_bytes(program, program.inputs),
            outputs=_bytes(program, program.outputs),
        )
    weights = inputs = outputs = 0
    loaded = -1
    for piece in program.pieces:
        part = host_bytes(program.programs[piece.program])
        if piece.program != loaded:
            weights += part.weights
            loaded = piece.program
        inputs += part.inputs
        outputs += part.outputs
    return HostBytes(weights, inputs, outputs)


def _bytes(program: Program, ports: tuple[Port, ...]) -> int:
    return sum(port.vectors(program.config) for port in ports) * program.config.rows
