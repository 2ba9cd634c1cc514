"""The one block that drives the front-end port: sequences of bias and pulse, within hard limits."""

from amaranth.hdl import Const, Module, Mux, ResetSignal, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import WRITE_MODES, Biasing, BiasMode
from celosia.hdl.crossbar.access import (
    DRIVE_BITS,
    READ_STROBES,
    Outcome,
    ReadSignature,
    pulse_event,
    write_request,
)
from celosia.hdl.crossbar.interfaces import FrontEndSignature

__all__ = ["SETTLE_BITS", "Limiter"]

SETTLE_BITS = 8
"""Width of a settling time in cycles."""


class Phase(enum.Enum, shape=3):
    """What the port is used for."""

    SAFE = 0
    READ = 1
    BIAS = 2
    """Unselected lines are biased, the pulse is to come."""
    PULSE = 3
    HOLD = 4
    """The pulse is over, unselected lines are still biased."""


class Limiter(wiring.Component):
    """Makes write pulses and lets reads through; between any two of them the port is SAFE.

    A write is checked against the configuration's constants before anything is driven: codes,
    width (0 is refused as well), mode, biasing, tile and column. What isn't allowed is REFUSED, not
    clamped: software that asks for it is wrong, and a weaker pulse would hide that.

    Sequence of a write: SAFE for `break_cycles`; mode, biasing, codes and `inhibit` for `settle`
    cycles and one more, and on until `ready`; the pulse; `inhibit` alone for as long again, and on
    until `ready`; SAFE. A request taken in cycle t shows its bias in t + 1 and its pulse in
    t + settle + 2 at the earliest; the next one is taken break_cycles + 1 cycles after the end.

    The pulse ends by its timer. A watchdog, which shares nothing with the timer, ends pulses that
    are longer than the longest allowed, and then refuses all writes until reset. Abort, a lost
    interlock, the watchdog and reset gate the pulse in their own cycle, and the port is SAFE in
    the next one. Interlock and abort belong to the clock domain: whoever brings in a pin
    synchronises it. The interlock doesn't stop reads; abort does.

    Members:
        writes: In(stream): `write_request`. Taken one at a time, in SAFE, while no read is enabled;
            without interlock or in abort at once, to be answered with CUT.
        done: strobe: the write is over, the port is SAFE. At least one cycle after it was taken.
        outcome: `Outcome`, with `done`.
        settle: cycles of settling, from the settings; stable during a write.
        reads: `ReadSignature` of the client; enabled reads wait for the end of a write.
        abort, interlock: levels; a pulse needs an interlock of 1.
        tripped: the watchdog has bitten.
        pulsed: strobe: a pulse has ended, early or not; before `done`, or with it.
        event: `pulse_event`, with `pulsed`.
        port: the front end.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "writes": In(stream.Signature(write_request(config))),
                "done": Out(1),
                "outcome": Out(Outcome),
                "settle": In(SETTLE_BITS),
                "reads": In(ReadSignature(config)),
                "abort": In(1),
                "interlock": In(1),
                "tripped": Out(1),
                "pulsed": Out(1),
                "event": Out(pulse_event(config)),
                "port": Out(FrontEndSignature(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        request, port, reads = self.writes.payload, self.port, self.reads
        longest = config.max_width * config.unit_cycles
        phase = Signal(Phase)
        held = Signal(write_request(config))
        rested = Signal(range(config.break_cycles + 1))
        settling = Signal(SETTLE_BITS)
        units = Signal.like(held.width)
        cycles = Signal(range(config.unit_cycles))
        watchdog = Signal(range(longest + 1))
        drive = Signal(DRIVE_BITS)
        made = Signal()  # the pulse has been high

        cut = Signal()
        m.d.comb += cut.eq(self.abort | ~self.interlock | self.tripped)
        overdue = watchdog >= longest
        writing = (phase == Phase.BIAS) | (phase == Phase.PULSE) | (phase == Phase.HOLD)
        reading = phase == Phase.READ

        # The port. Every level of a write comes from `held`, which only an allowed request enters.
        m.d.comb += [
            port.mode.eq(
                Mux(writing, held.mode, Mux(reading, BiasMode.READ.value, BiasMode.SAFE.value))
            ),
            port.inhibit.eq(writing),
            port.pulse.eq((phase == Phase.PULSE) & ~cut & ~overdue & ~ResetSignal()),
        ]
        with m.If(writing):
            m.d.comb += [
                port.tile.eq(held.tile),
                port.rows.eq(Const(1, config.rows) << held.row),
                port.column.eq(held.column),
                port.biasing.eq(held.biasing),
                port.word_line.eq(held.word_line),
                port.line.eq(held.line),
            ]
        with m.Elif(reading):
            m.d.comb += [
                port.tile.eq(reads.tile),
                port.rows.eq(reads.rows),
                port.column.eq(reads.column),
                *(getattr(port, name).eq(getattr(reads, name)) for name in READ_STROBES),
            ]
        m.d.comb += [
            reads.opened.eq(reading),
            *(getattr(port, name).eq(getattr(reads, name)) for name in _PASSED_OUT),
            *(getattr(reads, name).eq(getattr(port, name)) for name in _PASSED_IN),
        ]

        allowed = Signal()
        m.d.comb += allowed.eq(
            (request.word_line <= config.max_word_line)
            & (request.line <= config.max_line)
            & (request.width <= config.max_width)
            & (request.width != 0)
            & _one_of(request.mode, WRITE_MODES)
            & _one_of(request.biasing, Biasing)
            & (request.tile < config.tiles)
            & (request.column < config.columns)
        )
        m.d.sync += [self.done.eq(0), self.pulsed.eq(0)]
        with m.If((phase == Phase.SAFE) & (rested != config.break_cycles)):
            m.d.sync += rested.eq(rested + 1)
        with m.Elif(phase != Phase.SAFE):
            m.d.sync += rested.eq(0)
        at_rest = (phase == Phase.SAFE) & (rested == config.break_cycles)
        m.d.comb += self.writes.ready.eq(at_rest & ~reads.enable & ~self.done)

        with m.Switch(phase):
            with m.Case(Phase.SAFE):
                with m.If(at_rest & reads.enable & ~self.abort):
                    m.d.sync += phase.eq(Phase.READ)
                with m.If(self.writes.ready & self.writes.valid):
                    with m.If(cut | ~allowed):
                        m.d.sync += [
                            self.done.eq(1),
                            self.outcome.eq(Mux(allowed, Outcome.CUT, Outcome.REFUSED)),
                        ]
                    with m.Else():
                        m.d.sync += [
                            phase.eq(Phase.BIAS),
                            held.eq(request),
                            settling.eq(self.settle),
                        ]
            with m.Case(Phase.READ):
                with m.If(~reads.enable | self.abort):
                    m.d.sync += phase.eq(Phase.SAFE)
            with m.Case(Phase.BIAS):
                with m.If(settling != 0):
                    m.d.sync += settling.eq(settling - 1)
                with m.Elif(port.ready):
                    m.d.sync += [
                        phase.eq(Phase.PULSE),
                        units.eq(held.width),
                        cycles.eq(config.unit_cycles - 1),
                        drive.eq(0),
                    ]
            with m.Case(Phase.PULSE):
                m.d.sync += cycles.eq(cycles - 1)
                with m.If(cycles == config.unit_cycles - 1):
                    m.d.sync += drive.eq(drive + held.line)
                with m.If(cycles == 0):
                    m.d.sync += [cycles.eq(config.unit_cycles - 1), units.eq(units - 1)]
                    with m.If(units == 1):
                        m.d.sync += [
                            phase.eq(Phase.HOLD),
                            settling.eq(self.settle),
                            self.pulsed.eq(1),
                        ]
            with m.Case(Phase.HOLD):
                with m.If(settling != 0):
                    m.d.sync += settling.eq(settling - 1)
                with m.Elif(port.ready):
                    m.d.sync += [phase.eq(Phase.SAFE), self.done.eq(1)]
                    m.d.sync += self.outcome.eq(Outcome.DONE)
        with m.If(writing & cut):
            m.d.sync += [phase.eq(Phase.SAFE), self.done.eq(1), self.outcome.eq(Outcome.CUT)]
            m.d.sync += self.pulsed.eq((phase == Phase.PULSE) & made)
        with m.If(port.pulse):
            m.d.sync += [watchdog.eq(watchdog + 1), made.eq(1)]
        with m.Else():
            m.d.sync += watchdog.eq(0)
        with m.If(phase == Phase.BIAS):
            m.d.sync += made.eq(0)
        with m.If(overdue & (phase == Phase.PULSE)):
            m.d.sync += self.tripped.eq(1)
        m.d.comb += [
            self.event.tile.eq(held.tile),
            self.event.row.eq(held.row),
            self.event.column.eq(held.column),
            self.event.mode.eq(held.mode),
            self.event.drive.eq(drive),
        ]
        return m


_PASSED_OUT = ("group", "range", "gain", "sequence")
_PASSED_IN = ("ready", "codes", "saturated")


def _one_of(value: Signal, members: object) -> Signal:
    """Whether a number is one of the members of an enumeration."""
    return sum((value == int(member) for member in members), start=Const(0, 1)) != 0
