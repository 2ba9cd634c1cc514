"""The crossbar's port in gateware is that of the specification."""

import subprocess
import sys

from amaranth.hdl import Shape
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import PORT, port_widths
from celosia.hdl.crossbar.interfaces import FrontEndSignature


def test_port_follows_the_specification():
    config = CrossbarConfig(tiles=1, rows=4, outputs=3, spares=0, cell_bits=2, adcs=2)
    signature = FrontEndSignature(config)
    assert signature.config == config
    assert list(signature.members) == list(PORT) == list(port_widths(config))
    for name, member in signature.members.items():
        assert member.flow == {"out": Out, "in": In}[PORT[name][0]], name
        assert Shape.cast(member.shape).width == port_widths(config)[name], name


def test_no_signal_is_without_wires():
    least = CrossbarConfig(tiles=1, rows=4, outputs=1, spares=0, cell_bits=4, adcs=4)
    assert least.groups == 1
    assert min(port_widths(least).values()) == 1


def test_gateware_needs_no_numpy():
    source = (
        "import sys, celosia.hdl.crossbar.interfaces as i; assert 'numpy' not in sys.modules, i"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
