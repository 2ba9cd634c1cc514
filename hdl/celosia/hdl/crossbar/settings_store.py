"""The controller's settings: written by address, read by those who need them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, VOLTAGE_BITS, CrossbarConfig
from celosia.golden.crossbar.settings import (
    ADDRESS_BITS,
    RAMP_BASE,
    SCALARS,
    VALUE_BITS,
    WINDOW_BASE,
    Ramp,
    RampField,
    Setting,
    WindowField,
)

__all__ = ["RAMP", "SCALAR_VALUES", "SETTING_WRITE", "WINDOW", "SettingsStore"]

SETTING_WRITE = data.StructLayout({"address": ADDRESS_BITS, "value": VALUE_BITS})
SCALAR_VALUES = data.StructLayout({s.name.lower(): width for s, (width, _) in SCALARS.items()})
RAMP = data.ArrayLayout(VOLTAGE_BITS, len(RampField))
"""Fields of a ramp, in the order of `RampField`."""
WINDOW = data.ArrayLayout(CODE_BITS, len(WindowField))
"""Bounds of a level, in the order of `WindowField`."""


class SettingsStore(wiring.Component):
    """Scalars in registers, ramps and windows in memories.

    Writes to addresses that aren't there are taken and lost. Reset sets the scalars to their
    values after reset; it leaves ramps and windows, which are zero when the device starts.

    Members:
        writes: In(stream): address and value, a write every cycle while `hold` is low.
        hold: settings are in use; none is taken.
        scalars: all `Setting`s.
        ramp, level: what is looked up.
        ramp_fields, window: the answer, in the next cycle.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "writes": In(stream.Signature(SETTING_WRITE)),
                "hold": In(1),
                "scalars": Out(SCALAR_VALUES),
                "ramp": In(range(len(Ramp))),
                "level": In(range(config.levels)),
                "ramp_fields": Out(RAMP),
                "window": Out(WINDOW),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        write = self.writes.payload
        taken = Signal()
        m.d.comb += [self.writes.ready.eq(~self.hold), taken.eq(self.writes.valid & ~self.hold)]
        for setting in Setting:
            width, reset = SCALARS[setting]
            value = Signal(width, init=int(reset), name=setting.name.lower())
            with m.If(taken & (write.address == setting)):
                m.d.sync += value.eq(write.value)
            m.d.comb += getattr(self.scalars, value.name).eq(value)
        for name, shape, rows, base, index, answer in (
            ("ramps", RAMP, len(Ramp), RAMP_BASE, self.ramp, self.ramp_fields),
            ("windows", WINDOW, self._config.levels, WINDOW_BASE, self.level, self.window),
        ):
            fields = shape.length
            m.submodules[name] = memory = Memory(shape=shape, depth=rows, init=[])
            written, read = memory.write_port(granularity=1), memory.read_port()
            offset = Signal(ADDRESS_BITS, name=f"{name}_offset")
            here = Signal(name=f"{name}_written")
            m.d.comb += [
                offset.eq(write.address - base),
                here.eq(taken & (write.address >= base) & (offset < rows * fields)),
                written.addr.eq(offset // fields),
                written.en.eq(here << (offset % fields)),
                *(written.data[field].eq(write.value) for field in range(fields)),
                read.en.eq(1),
                read.addr.eq(index),
                answer.eq(read.data),
            ]
        return m
