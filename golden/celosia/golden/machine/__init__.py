"""The golden machine: numpy memories and units that execute the NPU's instruction words."""

from celosia.golden.machine.crossbar import AnalogTiles, ExactTiles, TileEngine
from celosia.golden.machine.engine import ExactEngine, MatrixEngine
from celosia.golden.machine.machine import Machine

__all__ = [
    "AnalogTiles",
    "ExactEngine",
    "ExactTiles",
    "Machine",
    "MatrixEngine",
    "TileEngine",
]
