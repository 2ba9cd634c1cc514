"""Paths over an ECP5's clock networks, which carry enables too (`celosia.hdl.npu.clock_network`).

nextpnr times such a path up to its network, and takes the network for nothing. What is missing is
the same for all of them.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from celosia.boards.paths import module_and_signal
from celosia.golden.errors import CelosiaError

__all__ = ["NetworkPath", "read_networks", "write_networks"]

REGISTER_NS = 0.53
"""From the clock to a register's output: nextpnr 0.11.1 for speed grade 6, the slowest."""
NETWORK_NS = 1.9
"""From a network's buffer to the enables of an 85F of speed grade 6: the wires' delays that nextpnr
0.11.1 prints with `--detailed-timing-report`, but doesn't add to paths. An enable's setup time is
nothing."""

#: A wire to a buffer, but for those that nextpnr puts in front of clocks; minimum, typical and
#: maximum delay in ps.
_WIRE = re.compile(r"\(INTERCONNECT (?P<source>\S+)/Q (?P<buffer>\S+)/CLKI \(\d+:\d+:(?P<ps>\d+)\)")
_CLOCK = r"\$gbuf\$"


@dataclass(frozen=True)
class NetworkPath:
    """From a register over a clock network to the enables of others.

    Attributes
    ----------
    signal : str
        The register, with its module: ``npu/engine: moves_1``.
    wire_ns : float
        Delay of the wire from the register to the network.
    """

    signal: str
    wire_ns: float

    @property
    def ns(self) -> float:
        """Delay of the whole path."""
        return REGISTER_NS + self.wire_ns + NETWORK_NS


def write_networks(delays: Path, output: Path) -> None:
    """Pick the paths over clock networks out of nextpnr's ``--sdf``, and write them as JSON."""
    paths = []
    with delays.open(encoding="utf-8") as lines:
        for line in lines:
            wire = _WIRE.search(line)
            if wire is None or wire["buffer"].startswith(_CLOCK):
                continue
            signal = ": ".join(module_and_signal(re.sub(r"\\(.)", r"\1", wire["source"])))
            paths.append(asdict(NetworkPath(signal, int(wire["ps"]) / 1e3)))
    output.write_text(json.dumps(paths))


def read_networks(file: Path) -> tuple[NetworkPath, ...]:
    """The paths of `write_networks`; none where there is no such file.

    Raises
    ------
    CelosiaError
        If it can't be read.
    """
    if not file.exists():
        return ()
    try:
        entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return tuple(NetworkPath(str(e["signal"]), float(e["wire_ns"])) for e in entries)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CelosiaError(
            f"{file.name} must be what a build wrote of clock networks, which this can't be read "
            f"as: {type(error).__name__}: {error}"
        ) from error
