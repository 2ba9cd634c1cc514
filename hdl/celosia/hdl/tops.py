"""The designs that Celosia hands over as Verilog, by the names that `celosia verilog` knows."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from amaranth.lib.wiring import Component

from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.errors import CelosiaError
from celosia.hdl.crossbar.controller import Controller
from celosia.hdl.crossbar.pin_front_end import ControllerOnPins
from celosia.hdl.npu.npu import Npu
from celosia.hdl.wishbone import WishboneNpu

__all__ = ["TOPS", "Top"]


@dataclass(frozen=True)
class Top:
    """A design that stands alone.

    Attributes:
        module: name of the Verilog module.
        what: what it is, for people.
        component: makes it; raises CelosiaError where the configuration has no such thing.
    """

    module: str
    what: str
    component: Callable[[NpuConfig], Component]


def _crossbar(config: NpuConfig) -> CrossbarConfig:
    if config.crossbar is None:
        raise CelosiaError(
            f"config must have a crossbar for its controller to be written, and {config.name} has "
            "none: give a TOML file with a table [crossbar]"
        )
    return config.crossbar


PIN_TIMES = {"divider": 2, "settle": 500}
"""Of a front end on pins: 12.5 MHz and 10 us where the clock has 50 MHz."""

TOPS = MappingProxyType(
    {
        "npu": Top("celosia_npu", "NPU", Npu),
        "wishbone": Top("celosia_wishbone", "NPU on a Wishbone bus", WishboneNpu),
        "crossbar": Top(
            "celosia_crossbar",
            "controller of a memristor crossbar",
            lambda config: Controller(_crossbar(config)),
        ),
        "crossbar-pins": Top(
            "celosia_crossbar_pins",
            "controller of a memristor crossbar with a front end on pins",
            lambda config: ControllerOnPins(_crossbar(config), **PIN_TIMES),
        ),
    }
)
"""Every top, by name."""
