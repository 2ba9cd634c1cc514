"""The limiter under the safety monitor with every input free: what is proved, what covered."""

from amaranth.hdl import Assert, Cover, Module, ResetSignal, Signal
from amaranth.lib import wiring

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode
from celosia.hdl.crossbar import limiter
from celosia.hdl.crossbar.access import Outcome
from celosia.hdl.crossbar.safety_monitor import Rule, SafetyMonitor

#: Small, and with a number of tiles, columns, units and cycles that isn't a power of two or 1.
CONFIG = CrossbarConfig(
    tiles=3, rows=4, outputs=2, spares=1, cell_bits=4, adcs=2, max_width=3, unit_cycles=2
)


class LimiterProof(wiring.Component):
    """Ports are those of the limiter; the prover chooses all inputs, reset too, in every cycle."""

    def __init__(self, kind=limiter.Limiter, *, covers=False):
        self._limiter = kind(CONFIG)
        self._covers = covers
        super().__init__(dict(self._limiter.signature.members))

    def elaborate(self, platform):
        m = Module()
        m.submodules.limiter = block = self._limiter
        m.submodules.monitor = monitor = SafetyMonitor(CONFIG)
        wiring.connect(m, wiring.flipped(self), block)
        for name in block.port.signature.members:
            m.d.comb += getattr(monitor.port, name).eq(getattr(block.port, name))
        m.d.comb += [
            monitor.abort.eq(block.abort),
            monitor.interlock.eq(block.interlock),
            monitor.reset.eq(ResetSignal()),
        ]
        if not self._covers:
            m.d.comb += [Assert(~monitor.violations[rule], rule.name) for rule in Rule]
            return m
        port, done = block.port, block.done
        pulse_before, length = Signal(), Signal(4)
        last_write = Signal.like(port.mode)
        m.d.sync += pulse_before.eq(port.pulse)
        with m.If(port.pulse):
            m.d.sync += [length.eq(length + 1), last_write.eq(port.mode)]
        with m.Else():
            m.d.sync += length.eq(0)
        longest = CONFIG.max_width * CONFIG.unit_cycles
        for name, reached in {
            "whole": done & (block.outcome == Outcome.DONE) & (block.event.drive != 0),
            "longest": ~port.pulse & (length == longest) & ~block.abort & block.interlock,
            "refused": done & (block.outcome == Outcome.REFUSED),
            "abort_amid_pulse": pulse_before & block.abort & (length == 2),
            "interlock_amid_pulse": pulse_before & ~block.interlock & (length == 2),
            "cut": done & (block.outcome == Outcome.CUT) & block.pulsed,
            "both_polarities": port.pulse
            & (port.mode == BiasMode.RESET.value)
            & (last_write == BiasMode.SET.value),
            "read_behind_write": block.reads.opened & (last_write == BiasMode.FORM.value),
        }.items():
            m.d.comb += Cover(reached, name)
        return m
