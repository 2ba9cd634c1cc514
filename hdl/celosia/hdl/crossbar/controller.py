"""The controller of a bank of tiles: programming and products on one front-end port."""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.hdl.crossbar.access import pulse_event
from celosia.hdl.crossbar.interfaces import FrontEndSignature
from celosia.hdl.crossbar.limiter import Limiter
from celosia.hdl.crossbar.mvm_unit import MvmUnit, product_request
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.programmer import Programmer, cell_result, region_command
from celosia.hdl.crossbar.settings_store import SETTING_WRITE, SettingsStore

__all__ = ["Controller"]

_REPORTS = ("dropped", "issued", "reissued", "clipped")


class Controller(wiring.Component):
    """Programs cells and multiplies, never both at once.

    `Programmer` and `MvmUnit` share the limiter, which alone drives the port. A command that waits
    comes before products: the one at hand is completed, then the command has the port until its
    last result is taken, then products go on. Results, sums and codes are those of the golden
    programmer and multiplier, as nothing of a tile depends on when it is accessed.

    Latency: a command starts 1 cycle after the product before it has left the port, which takes as
    long as a product at most.

    Members
    -------
    commands, targets, results
        As for `Programmer`.
    requests, corrections, sums
        As for `MvmUnit`. Products that an abort drops give no sums.
    settings : In(stream.Signature(SETTING_WRITE))
        Taken while nothing is under way; a value holds from the next command or product on.
    abort : In(1)
        Level: ends the command and drops products; the port is SAFE in the next cycle.
    interlock : In(1)
        Level: no pulse without it.
    port : Out(FrontEndSignature(config))
        The front end.
    busy : Out(1)
        A command or a product is under way.
    tripped : Out(1)
        The limiter's watchdog has bitten: no write until reset.
    pulsed, event : Out
        Strobe, and `pulse_event`: a pulse was made, for counters of wear and energy.
    converted : Out(1)
        Strobe: the programmer has made a conversion.
    dropped, issued, reissued, clipped : Out
        Strobes of the products, as for `ProductReader`.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "commands": In(stream.Signature(region_command(config))),
                "targets": In(stream.Signature(config.cell_bits)),
                "results": Out(stream.Signature(cell_result(config))),
                "requests": In(stream.Signature(product_request(config))),
                "corrections": In(stream.Signature(correction_write(config))),
                "sums": Out(stream.Signature(data.ArrayLayout(signed(32), config.outputs))),
                "settings": In(stream.Signature(SETTING_WRITE)),
                "abort": In(1),
                "interlock": In(1),
                "port": Out(FrontEndSignature(config)),
                "busy": Out(1),
                "tripped": Out(1),
                "pulsed": Out(1),
                "event": Out(pulse_event(config)),
                "converted": Out(1),
                "dropped": Out(1),
                "issued": Out(1),
                "reissued": Out(1),
                "clipped": Out(range(config.columns + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.settings = settings = SettingsStore(config)
        m.submodules.programmer = programmer = Programmer(config)
        m.submodules.mvm = mvm = MvmUnit(config)
        m.submodules.limiter = limiter = Limiter(config)
        for outer, inner in (
            (self.targets, programmer.targets),
            (self.requests, mvm.requests),
            (self.corrections, mvm.corrections),
            (self.settings, settings.writes),
        ):
            wiring.connect(m, wiring.flipped(outer), inner)
        wiring.connect(m, programmer.results, wiring.flipped(self.results))
        wiring.connect(m, mvm.sums, wiring.flipped(self.sums))
        wiring.connect(m, programmer.writes, limiter.writes)
        wiring.connect(m, limiter.port, wiring.flipped(self.port))
        self._arbitrate(m, programmer, mvm, limiter)
        m.d.comb += [
            settings.hold.eq(programmer.busy | mvm.busy),
            settings.ramp.eq(programmer.ramp),
            settings.level.eq(programmer.level),
            programmer.scalars.eq(settings.scalars),
            programmer.ramp_fields.eq(settings.ramp_fields),
            programmer.window.eq(settings.window),
            programmer.abort.eq(self.abort),
            programmer.done.eq(limiter.done),
            programmer.outcome.eq(limiter.outcome),
            programmer.pulsed.eq(limiter.pulsed),
            mvm.abort.eq(self.abort),
            mvm.settle.eq(settings.scalars.read_settle),
            limiter.settle.eq(settings.scalars.write_settle),
            limiter.abort.eq(self.abort),
            limiter.interlock.eq(self.interlock),
            self.busy.eq(programmer.busy | mvm.busy),
            self.tripped.eq(limiter.tripped),
            self.pulsed.eq(limiter.pulsed),
            self.event.eq(limiter.event),
            self.converted.eq(programmer.converted),
            *(getattr(self, name).eq(getattr(mvm, name)) for name in _REPORTS),
        ]
        return m

    def _arbitrate(self, m, programmer, mvm, limiter):
        """Commands wait for products to leave the port, and products for commands to end."""
        free = ~mvm.reads.enable
        m.d.comb += [
            mvm.hold.eq(self.commands.valid | programmer.busy),
            programmer.commands.payload.eq(self.commands.payload),
            programmer.commands.valid.eq(self.commands.valid & free),
            self.commands.ready.eq(programmer.commands.ready & free),
        ]
        self._share(m, programmer.reads, mvm.reads, programmer.busy, limiter.reads)

    def _share(self, m, first, second, chosen, reads):
        """Reads of two clients through one port; who isn't chosen finds it closed."""
        for name, member in reads.signature.members.items():
            ours = getattr(reads, name)
            if member.flow is In:  # as the limiter sees it, from the client
                m.d.comb += ours.eq(Mux(chosen, getattr(first, name), getattr(second, name)))
            else:
                m.d.comb += [getattr(client, name).eq(ours) for client in (first, second)]
        m.d.comb += [
            first.opened.eq(reads.opened & chosen),
            second.opened.eq(reads.opened & ~chosen),
        ]
