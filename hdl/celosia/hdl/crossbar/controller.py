"""The controller of a bank of tiles: programming and products on one front-end port."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.commands import MAINTENANCE
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.telemetry import WORD_BITS, status_address_bits
from celosia.hdl.crossbar.access import pulse_event
from celosia.hdl.crossbar.interfaces import FrontEndSignature
from celosia.hdl.crossbar.limiter import Limiter
from celosia.hdl.crossbar.maintenance import Maintenance
from celosia.hdl.crossbar.mvm_unit import MvmUnit, product_request
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.product_reader import NUMBER_BITS
from celosia.hdl.crossbar.programmer import Programmer, cell_result, region_command
from celosia.hdl.crossbar.settings_store import SETTING_WRITE, SettingsStore
from celosia.hdl.crossbar.status import Status

__all__ = ["Controller", "pass_on"]

_REPORTS = ("multiplied", "probed", "dropped", "issued", "reissued", "clipped")


class Controller(wiring.Component):
    """Programs cells and multiplies, never both at once.

    `Programmer` and `MvmUnit` share the limiter, which alone drives the port. A command that waits
    comes before products: the one at hand is completed, then the command has the port until its
    last result is taken, then products go on. Commands are executed one after the other, each by
    `Programmer` or `Maintenance`, and answered in their order. Results, sums, codes and status are
    those of `celosia.golden.crossbar.controller.Controller`, as nothing of a tile depends on when
    it is accessed.

    Latency: a command starts 1 cycle after the product before it has left the port, which takes as
    long as a product at most.

    Members
    -------
    commands, targets, results
        As for `Programmer`, with the commands of `Maintenance`.
    requests, corrections, sums
        As for `MvmUnit`. Products that an abort drops give no sums. Entries of the tables wait for
        a command of `Maintenance`, and such a command waits for sums to be taken before it writes.
    settings : In(stream.Signature(SETTING_WRITE))
        Taken while nothing is under way; a value holds from the next command or product on.
    abort : In(1)
        Level: ends the command and drops products; the port is SAFE in the next cycle.
    restart : In(1)
        Forgets the command and all products, with their results and sums; the port is SAFE in the
        next cycle. Settings, tables and status stay, and `tripped` does.
    interlock : In(1)
        Level: no pulse without it.
    port : Out(FrontEndSignature(config))
        The front end.
    busy : Out(1)
        A command or a product is under way.
    multiplying : Out(1)
        A product is, or waits.
    tripped : Out(1)
        The limiter's watchdog has bitten: no write until reset.
    pulsed, event : Out
        Strobe, and `pulse_event`: a pulse was made, for counters of wear and energy.
    converted : Out(1)
        Strobe: the programmer has made a conversion.
    multiplied, probed, dropped, issued, reissued, clipped : Out
        Strobes of the products, as for `ProductReader`.
    status_address : In
        Address of a word, as in `celosia.golden.crossbar.telemetry`.
    status_word : Out(32)
        What stood there; `STATUS_LATENCY` cycles after the address, at any time.
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
                "restart": In(1),
                "interlock": In(1),
                "port": Out(FrontEndSignature(config)),
                "busy": Out(1),
                "multiplying": Out(1),
                "tripped": Out(1),
                "pulsed": Out(1),
                "event": Out(pulse_event(config)),
                "converted": Out(1),
                "multiplied": Out(1),
                "probed": Out(1),
                "dropped": Out(1),
                "issued": Out(1),
                "reissued": Out(1),
                "clipped": Out(range(config.columns + 1)),
                "status_address": In(status_address_bits(config)),
                "status_word": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.settings = settings = SettingsStore(config)
        programmer, mvm, maintenance = Programmer(config), MvmUnit(config), Maintenance(config)
        restarted = ResetInserter(self.restart)
        m.submodules.programmer = restarted(programmer)
        m.submodules.mvm = restarted(mvm)
        m.submodules.limiter = limiter = Limiter(config)
        m.submodules.maintenance = restarted(maintenance)
        m.submodules.status = status = Status(config)
        for outer, inner in (
            (self.targets, programmer.targets),
            (self.requests, mvm.requests),
            (self.settings, settings.writes),
        ):
            wiring.connect(m, wiring.flipped(outer), inner)
        wiring.connect(m, mvm.sums, wiring.flipped(self.sums))
        wiring.connect(m, programmer.writes, limiter.writes)
        wiring.connect(m, limiter.port, wiring.flipped(self.port))
        # A restart takes no number back, so that no product's noise comes twice.
        number = Signal(NUMBER_BITS)
        m.d.sync += number.eq(number + (mvm.multiplied | mvm.probed | mvm.dropped))
        self._arbitrate(m, programmer, maintenance, mvm, limiter)
        self._answer(m, programmer, maintenance, status)
        self._correct(m, maintenance, mvm, status)
        self._report(m, programmer, mvm, limiter, maintenance, status)
        m.d.comb += [
            settings.hold.eq(programmer.busy | maintenance.busy | mvm.busy),
            settings.ramp.eq(programmer.ramp),
            settings.level.eq(programmer.level),
            programmer.scalars.eq(settings.scalars),
            programmer.ramp_fields.eq(settings.ramp_fields),
            programmer.window.eq(settings.window),
            programmer.abort.eq(self.abort),
            programmer.done.eq(limiter.done),
            programmer.outcome.eq(limiter.outcome),
            programmer.pulsed.eq(limiter.pulsed),
            maintenance.scalars.eq(settings.scalars),
            maintenance.abort.eq(self.abort),
            mvm.abort.eq(self.abort),
            mvm.settle.eq(settings.scalars.read_settle),
            mvm.number.eq(number),
            limiter.settle.eq(settings.scalars.write_settle),
            limiter.abort.eq(self.abort | self.restart),
            limiter.interlock.eq(self.interlock),
            self.busy.eq(programmer.busy | maintenance.busy | mvm.busy),
            self.multiplying.eq(mvm.busy),
            self.tripped.eq(limiter.tripped),
        ]
        return m

    def _arbitrate(self, m, programmer, maintenance, mvm, limiter):
        """Commands wait for products to leave the port, and products for commands to end."""
        asked = self.commands.payload
        mine = sum((asked.command == command.value for command in MAINTENANCE), start=0) != 0
        free = ~mvm.reads.enable & ~programmer.busy & ~maintenance.busy
        m.d.comb += [
            mvm.hold.eq(self.commands.valid | programmer.busy | maintenance.busy),
            self.commands.ready.eq(free),
        ]
        for unit, chosen in ((programmer, ~mine), (maintenance, mine)):
            m.d.comb += [
                unit.commands.payload.eq(asked),
                unit.commands.valid.eq(self.commands.valid & free & chosen),
            ]
        self._share(m, programmer.reads, mvm.reads, programmer.busy, limiter.reads)

    def _answer(self, m, programmer, maintenance, status):
        """Results of whoever has some, and what they leave in counters and map."""
        m.d.comb += [
            self.results.payload.eq(
                Mux(programmer.busy, programmer.results.payload, maintenance.results.payload)
            ),
            self.results.valid.eq(programmer.results.valid | maintenance.results.valid),
            programmer.results.ready.eq(self.results.ready),
            maintenance.results.ready.eq(self.results.ready),
        ]
        tile = Signal.like(self.commands.payload.tile)
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += tile.eq(self.commands.payload.tile)
        answer = self.results.payload
        m.d.comb += [
            status.judged.eq(maintenance.judged),
            status.bad.eq(maintenance.bad),
            status.answered.eq(programmer.results.valid & programmer.results.ready),
            status.tile.eq(tile),
            *(
                getattr(status, name).eq(getattr(answer, name))
                for name in ("command", "result", "row", "column")
            ),
        ]

    def _correct(self, m, maintenance, mvm, status):
        """Entries of the tables: the maintenance unit's while it works, or those from outside."""
        outer, inner = self.corrections, maintenance.writes
        working = maintenance.busy
        wiring.connect(m, maintenance.probes, mvm.probes)
        wiring.connect(m, mvm.responses, maintenance.responses)
        m.d.comb += [
            mvm.amend.eq(working),
            mvm.corrections.payload.eq(Mux(working, inner.payload, outer.payload)),
            mvm.corrections.valid.eq(Mux(working, inner.valid, outer.valid)),
            inner.ready.eq(mvm.corrections.ready & working),
            outer.ready.eq(mvm.corrections.ready & ~working),
            maintenance.written.eq(mvm.corrections.valid & mvm.corrections.ready),
            maintenance.entry.eq(mvm.corrections.payload),
            status.amended.eq(inner.valid & inner.ready),
            status.entry.eq(inner.payload),
        ]

    def _report(self, m, programmer, mvm, limiter, maintenance, status):
        """What the units do, to the outside and to the counters."""
        for name, value in (
            ("pulsed", limiter.pulsed),
            ("event", limiter.event),
            ("converted", programmer.converted),
            *((name, getattr(mvm, name)) for name in _REPORTS),
        ):
            m.d.comb += [getattr(self, name).eq(value), getattr(status, name).eq(value)]
        m.d.comb += [
            status.clear.eq(maintenance.clear),
            status.renew.eq(maintenance.renew),
            status.renewed.eq(maintenance.renewed),
            status.scanned.eq(maintenance.scanned),
            maintenance.scan_word.eq(status.scan_word),
            status.address.eq(self.status_address),
            self.status_word.eq(status.word),
        ]

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


def pass_on(m: Module, controller: Controller, around: wiring.Component) -> None:
    """Connect the controller's ports to those of the same names of a component around it.

    What the component has no port for, such as the front end that it brings along, is left out.
    """
    for name, member in controller.signature.members.items():
        if name not in around.signature.members:
            continue
        inner, outer = getattr(controller, name), getattr(around, name)
        if member.is_signature:
            wiring.connect(m, inner, wiring.flipped(outer))
        elif member.flow is Out:
            m.d.comb += outer.eq(inner)
        else:
            m.d.comb += inner.eq(outer)
