"""Networks larger than the NPU's memories, as a sequence of programs over host memory."""

from celosia.compiler.streaming.boxes import Box
from celosia.compiler.streaming.compile import compile_network, compile_streamed
from celosia.compiler.streaming.program import (
    Piece,
    StreamedLayer,
    StreamedProgram,
    gather,
    run_pieces,
)

__all__ = [
    "Box",
    "Piece",
    "StreamedLayer",
    "StreamedProgram",
    "compile_network",
    "compile_streamed",
    "gather",
    "run_pieces",
]
