"""The programmer with settings, limiter, emulator and safety monitor, as a device under test."""

from amaranth.hdl import Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.crossbar.access import write_request
from celosia.hdl.crossbar.emulator import Emulator
from celosia.hdl.crossbar.interfaces import FrontEndSignature
from celosia.hdl.crossbar.limiter import Limiter
from celosia.hdl.crossbar.programmer import Programmer, cell_result, region_command
from celosia.hdl.crossbar.safety_monitor import Rule, SafetyMonitor
from celosia.hdl.crossbar.settings_store import SETTING_WRITE, SettingsStore


class ProgrammerHarness(wiring.Component):
    """Commands, settings and targets in; results, and every write that the limiter is asked for.

    Without an emulator (None) the front-end port is its own, ``port``.
    """

    def __init__(self, config, emulator, *, limiter=Limiter, programmer=Programmer):
        self._sizes, self._kinds = (config, emulator), (limiter, programmer)
        port = {} if emulator else {"port": Out(FrontEndSignature(config))}
        super().__init__(
            {
                **port,
                "commands": In(stream.Signature(region_command(config))),
                "settings": In(stream.Signature(SETTING_WRITE)),
                "targets": In(stream.Signature(config.cell_bits)),
                "results": Out(stream.Signature(cell_result(config))),
                "asked": Out(stream.Signature(write_request(config))),
                "abort": In(1),
                "interlock": In(1),
                "pulse": Out(1),
                "tripped": Out(1),
                "broken": Out(len(Rule)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, emulator = self._sizes
        limiter_kind, programmer_kind = self._kinds
        m.submodules.settings = settings = SettingsStore(config)
        m.submodules.programmer = programmer = programmer_kind(config)
        m.submodules.limiter = limiter = limiter_kind(config)
        m.submodules.monitor = monitor = SafetyMonitor(config)
        for name, there in (
            ("commands", programmer.commands),
            ("targets", programmer.targets),
            ("settings", settings.writes),
        ):
            wiring.connect(m, wiring.flipped(getattr(self, name)), there)
        wiring.connect(m, programmer.results, wiring.flipped(self.results))
        wiring.connect(m, programmer.writes, limiter.writes)
        wiring.connect(m, programmer.reads, limiter.reads)
        if emulator:
            m.submodules.emulator = cells = Emulator(config, emulator, rows_per_cycle=4)
            wiring.connect(m, limiter.port, cells.port)
            m.d.comb += cells.answer.ready.eq(1)
        else:
            wiring.connect(m, limiter.port, wiring.flipped(self.port))
        for name in limiter.port.signature.members:
            m.d.comb += getattr(monitor.port, name).eq(getattr(limiter.port, name))
        m.d.comb += [
            settings.hold.eq(programmer.busy),
            settings.ramp.eq(programmer.ramp),
            settings.level.eq(programmer.level),
            programmer.scalars.eq(settings.scalars),
            programmer.ramp_fields.eq(settings.ramp_fields),
            programmer.window.eq(settings.window),
            programmer.abort.eq(self.abort),
            programmer.done.eq(limiter.done),
            programmer.outcome.eq(limiter.outcome),
            programmer.pulsed.eq(limiter.pulsed),
            limiter.settle.eq(settings.scalars.write_settle),
            limiter.abort.eq(self.abort),
            limiter.interlock.eq(self.interlock),
            monitor.abort.eq(self.abort),
            monitor.interlock.eq(self.interlock),
            monitor.reset.eq(ResetSignal()),
            self.asked.payload.eq(limiter.writes.payload),
            self.asked.valid.eq(limiter.writes.valid & limiter.writes.ready),
            self.pulse.eq(limiter.port.pulse),
            self.tripped.eq(limiter.tripped),
            self.broken.eq(monitor.broken),
        ]
        return m
