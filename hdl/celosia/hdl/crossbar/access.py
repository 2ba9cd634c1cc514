"""What the clients of the front-end port ask of the limiter, which alone drives the port."""

from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import PULSE_BITS, VOLTAGE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import PORT, port_widths
from celosia.hdl.crossbar.interfaces import FrontEndSignature

__all__ = [
    "DRIVE_BITS",
    "READ_STROBES",
    "Outcome",
    "ReadSignature",
    "pulse_event",
    "write_request",
]

DRIVE_BITS = VOLTAGE_BITS + PULSE_BITS
"""Bits of a pulse's line code times its width."""

READ_STROBES = ("integrate", "convert")
_READ_LEVELS = ("tile", "rows", "column", "group", "range", "gain", "sequence")
_ANSWERS = tuple(name for name, (flow, _) in PORT.items() if flow == "in")


class Outcome(enum.Enum, shape=2):
    """How a write ended."""

    DONE = 0
    """The pulse had its whole width."""
    REFUSED = 1
    """Beyond a limit: nothing was driven."""
    CUT = 2
    """Abort, or no interlock: the pulse was not made, or not to its end."""


class ReadSignature(wiring.Signature):
    """Reads through the limiter, seen from the client that reads.

    Members:
        enable: asks for mode READ; held as long as reads go on.
        opened: mode is READ. Falls when `enable` does, and on abort; levels and strobes reach the
            port in the same cycle, strobes only while it is high.
        The others are those of the port, with its rules (`FrontEndSignature`).
    """

    def __init__(self, config: CrossbarConfig) -> None:
        port = FrontEndSignature(config).members
        names = (*_READ_LEVELS, *READ_STROBES, *_ANSWERS)
        super().__init__(
            {"enable": Out(1), "opened": In(1), **{name: port[name] for name in names}}
        )


def write_request(config: CrossbarConfig) -> data.StructLayout:
    """One pulse: where, which way, how strong, how long."""
    widths = port_widths(config)
    return data.StructLayout(
        {
            "tile": widths["tile"],
            "row": _index_bits(config.rows),
            "column": widths["column"],
            "mode": widths["mode"],
            "biasing": widths["biasing"],
            "word_line": VOLTAGE_BITS,
            "line": VOLTAGE_BITS,
            "width": PULSE_BITS,
        }
    )


def pulse_event(config: CrossbarConfig) -> data.StructLayout:
    """A pulse that was made, for counters.

    Fields: its place and `BiasMode`, and `drive`: the line code summed over the units of its width,
    a proxy of its energy where the current is held by the word line.
    """
    widths = port_widths(config)
    return data.StructLayout(
        {
            "tile": widths["tile"],
            "row": _index_bits(config.rows),
            "column": widths["column"],
            "mode": widths["mode"],
            "drive": DRIVE_BITS,
        }
    )


def _index_bits(count: int) -> int:
    return (count - 1).bit_length()
