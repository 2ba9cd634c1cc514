"""The controller with emulator and safety monitor, as a device under test."""

from amaranth.hdl import Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.crossbar.controller import Controller, pass_on
from celosia.hdl.crossbar.emulator import Emulator, cell_access
from celosia.hdl.crossbar.safety_monitor import Rule, SafetyMonitor


class ControllerHarness(wiring.Component):
    """All of the controller's ports but the front end's, and the emulator's back door.

    Without an emulator (None) the front end's port is there as well.
    """

    def __init__(self, config, emulator, *, controller=Controller):
        self._sizes = config, emulator
        self._controller = controller(config)
        members = dict(self._controller.signature.members.items())
        if emulator is not None:
            del members["port"]
        memory = {"memory": In(stream.Signature(cell_access(config)))} if emulator else {}
        super().__init__(
            {
                **members,
                **memory,
                "pulse": Out(1),
                "broken": Out(len(Rule)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, emulator = self._sizes
        m.submodules.controller = controller = self._controller
        m.submodules.monitor = monitor = SafetyMonitor(config)
        pass_on(m, controller, self)
        if emulator is not None:
            m.submodules.emulator = cells = Emulator(config, emulator, rows_per_cycle=4)
            wiring.connect(m, wiring.flipped(self.memory), cells.memory)
            wiring.connect(m, controller.port, cells.port)
            m.d.comb += cells.answer.ready.eq(1)
        for name in controller.port.signature.members:
            m.d.comb += getattr(monitor.port, name).eq(getattr(controller.port, name))
        m.d.comb += [
            monitor.abort.eq(self.abort),
            monitor.interlock.eq(self.interlock),
            monitor.reset.eq(ResetSignal()),
            self.pulse.eq(controller.port.pulse),
            self.broken.eq(monitor.broken),
        ]
        return m
