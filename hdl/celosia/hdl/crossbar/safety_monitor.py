"""The safety rules of the front-end port, as gateware that watches it in proofs and simulations."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import WRITE_MODES, BiasMode
from celosia.hdl.crossbar.access import READ_STROBES
from celosia.hdl.crossbar.interfaces import FrontEndSignature

__all__ = ["Rule", "SafetyMonitor"]

_HELD = ("tile", "mode", "biasing", "rows", "column", "word_line", "line")


class Rule(enum.IntEnum):
    """What must hold on the port in every cycle; the value is a bit of `violations`."""

    LIMIT = 0
    """No word-line or line code is over its limit, whether there is a pulse or not."""
    WIDTH = 1
    """No pulse is longer than `max_width` units."""
    TARGET = 2
    """The mode is a known one; a write is of one row, an existing tile and an existing column; a
    pulse, and bias of unselected lines, is in a write."""
    SELECTION = 3
    """Nothing changes between the first and the last cycle of a write: one polarity, one cell."""
    BREAK = 4
    """A write or a read begins only after `break_cycles` cycles of SAFE since another one."""
    INHIBIT = 5
    """Unselected lines are biased the cycle before a pulse, during it, and the cycle after it."""
    SAFE = 6
    """In SAFE there is no pulse, no bias, no code and no row."""
    CUT = 7
    """No pulse in a cycle of abort, reset or no interlock; no write in the cycle after one, and
    SAFE in the cycle after abort or reset."""
    STROBE = 8
    """Samples and conversions only in READ."""


class SafetyMonitor(wiring.Component):
    """Watches a port and says, in the same cycle, which rules it breaks.

    It shares no logic with the limiter. Its own registers have no reset.

    Members:
        port: what is watched; all of `FrontEndSignature`, as inputs.
        abort, interlock, reset: what the limiter gets.
        violations: a bit for each `Rule`.
        broken: the rules that were ever broken, from the next cycle on.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        members = FrontEndSignature(config).members
        super().__init__(
            {
                "port": In(wiring.Signature({name: Out(members[name].shape) for name in members})),
                "abort": In(1),
                "interlock": In(1),
                "reset": In(1),
                "violations": Out(len(Rule)),
                "broken": Out(len(Rule)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, port = self._config, self.port
        longest = config.max_width * config.unit_cycles
        writing, safe = Signal(), Signal()
        m.d.comb += [
            writing.eq(Cat(port.mode == mode for mode in WRITE_MODES).any()),
            safe.eq(port.mode == BiasMode.SAFE.value),
        ]

        def before(value: Signal, init: int = 0) -> Signal:
            """A value of the cycle before."""
            past = Signal.like(value, init=init, reset_less=True, name=f"{value.name}_before")
            m.d.sync += past.eq(value)
            return past

        writing_before, safe_before = before(writing), before(safe, init=1)
        pulse_before, inhibit_before = before(port.pulse), before(port.inhibit)
        abort_before, reset_before = before(self.abort), before(self.reset, init=1)
        interlock_before = before(self.interlock, init=1)
        changed = Cat(getattr(port, name) != before(getattr(port, name)) for name in _HELD).any()
        length = Signal(range(longest + 1), reset_less=True)  # of the pulse so far
        with m.If(~port.pulse):
            m.d.sync += length.eq(0)
        with m.Elif(length != longest):
            m.d.sync += length.eq(length + 1)
        rest = Signal(range(config.break_cycles + 1), init=config.break_cycles, reset_less=True)
        with m.If(~safe):
            m.d.sync += rest.eq(0)
        with m.Elif(rest != config.break_cycles):
            m.d.sync += rest.eq(rest + 1)

        one_row = (port.rows != 0) & ((port.rows & (port.rows - 1)) == 0)
        targeted = one_row & (port.tile < config.tiles) & (port.column < config.columns)
        known = Cat(port.mode == mode.value for mode in BiasMode).any()
        uncut = ~self.abort & self.interlock & ~self.reset
        strobes = Cat(getattr(port, name) for name in READ_STROBES).any()
        driven = Cat(
            port.pulse, port.inhibit, port.word_line != 0, port.line != 0, port.rows != 0
        ).any()
        begins = ~safe & (safe_before | (writing != writing_before))
        broken = {
            Rule.LIMIT: (port.word_line > config.max_word_line) | (port.line > config.max_line),
            Rule.WIDTH: port.pulse & (length == longest),
            Rule.TARGET: ~known | (writing & ~targeted) | ((port.pulse | port.inhibit) & ~writing),
            Rule.SELECTION: writing & writing_before & changed,
            Rule.BREAK: begins & (rest != config.break_cycles),
            Rule.INHIBIT: (port.pulse & ~(port.inhibit & inhibit_before))
            | (pulse_before & ~port.inhibit),
            Rule.SAFE: safe & driven,
            Rule.CUT: (port.pulse & ~uncut)
            | (writing & (abort_before | ~interlock_before | reset_before))
            | (~safe & (abort_before | reset_before)),
            Rule.STROBE: strobes & (port.mode != BiasMode.READ.value),
        }
        m.d.comb += self.violations.eq(Cat(Const(0, 1) | broken[rule] for rule in Rule))
        collected = Signal.like(self.broken, reset_less=True)
        m.d.sync += collected.eq(collected | self.violations)
        m.d.comb += self.broken.eq(collected)
        return m
