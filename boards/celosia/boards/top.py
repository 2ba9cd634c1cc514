"""What stands between a board's pins and the NPU: clock, reset, serial line, lights."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from celosia.boards.board import Board, Level, Pin
from celosia.boards.pll import PllSettings, doubled_pll_instance, pll_instance
from celosia.hdl.link.uart import UartReceiver, UartTransmitter, phase_step
from celosia.hdl.npu.double_pumped_storage import DOUBLE

__all__ = ["CLOCK_NET", "CLOCK_PORT", "DOUBLE_NET", "BoardTop", "Core"]

CLOCK_PORT = "clock_pin"
"""The port that the oscillator drives."""
CLOCK_NET = "clk"
"""The net of the NPU's clock."""
DOUBLE_NET = f"{DOUBLE}_clk"
"""The net of the clock of twice its frequency, where the PLL makes one."""
RESET_CYCLES = 256
"""Clock cycles that the reset lasts once the clock is good: memories of an iCE40 can't be read in
its first microseconds."""
_LIT_S = 1 / 16


class Core(wiring.Component):  # type: ignore[type-arg]
    """What a board carries: bytes in, bytes out, and two states for its lights.

    Members
    -------
    rx : In(stream.Signature(8)), tx : Out(stream.Signature(8))
        Bytes on the line. A byte of `rx` that isn't taken before the next one comes is lost.
    busy, error : Out(1)
        Work is done; something went wrong.
    """

    rx: stream.Interface
    tx: stream.Interface
    busy: Signal
    error: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "busy": Out(1),
                "error": Out(1),
            }
        )


class BoardTop(wiring.Component):  # type: ignore[type-arg]
    """A core on a board.

    The core's clock is the PLL's, or the oscillator's where no PLL is needed; a doubled PLL makes
    that of the domain `DOUBLE` as well, which has no reset. The core's reset begins with
    the configuration, whenever the PLL loses lock and while the button is pressed, at any moment;
    it ends with the clock, 256 cycles after all of that is over. The lights are, in this order:
    the line (lit for about a sixteenth of a second after bytes from the host), busy, error.

    Parameters
    ----------
    board : Board
        The board.
    pll : PllSettings or None
        Settings of its PLL, or None for the oscillator's own frequency.
    core : Core
        What it carries.

    Members
    -------
    clock_pin : In(1), reset_pin : In(1)
        Oscillator; the button, where there is one.
    rx : In(1), tx : Out(1)
        The serial line.
    led_0, led_1, led_2 : Out(1)
        As many lights as the board has.
    """

    rx: Signal
    tx: Signal
    reset_pin: Signal

    def __init__(self, board: Board, pll: PllSettings | None, core: Core) -> None:
        self._board = board
        self._pll = pll
        self._core = core
        ports = {CLOCK_PORT: In(1), "rx": In(1), "tx": Out(1)}
        if board.reset is not None:
            ports["reset_pin"] = In(1)
        for number in range(len(board.leds)):
            ports[f"led_{number}"] = Out(1)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        board = self._board
        bad = self._clock(m)
        self._reset(m, bad)

        mhz = board.clock.mhz if self._pll is None else float(self._pll.output_mhz)
        step = phase_step(mhz * 1e6, board.uart.baud)
        m.submodules.receiver = receiver = UartReceiver(step=step)
        m.submodules.transmitter = transmitter = UartTransmitter(step=step)
        m.submodules.core = core = self._core
        wiring.connect(m, receiver.o, core.rx)
        wiring.connect(m, core.tx, transmitter.i)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]

        # Shorter than this, a light isn't seen. A counter that wraps is the shortest path there is.
        pace = Signal(range(round(mhz * 1e6 * _LIT_S)))
        heard, lit = Signal(), Signal()
        m.d.sync += pace.eq(pace + 1)
        with m.If(receiver.o.valid):
            m.d.sync += heard.eq(1)
        with m.Elif(pace == 0):
            m.d.sync += heard.eq(0)
        with m.If(pace == 0):
            m.d.sync += lit.eq(heard)
        for number, (led, state) in enumerate(
            zip(board.leds, (lit, core.busy, core.error), strict=False)
        ):
            light = Signal(name=f"light_{number}")
            # A register of its own, so that the pin doesn't glitch and lengthens no path.
            m.d.sync += light.eq(state)
            m.d.comb += getattr(self, f"led_{number}").eq(light ^ (led.active is Level.LOW))
        return m

    def _clock(self, m: Module) -> Signal:
        """The clock of all domains; returns what says that it can't be used yet."""
        m.domains.sync = sync = ClockDomain()
        clock: Signal = sync.clk  # type: ignore[attr-defined]
        # Constraints go by the net's name, and of a net's many names only one survives.
        clock.attrs["keep"] = 1
        m.domains.start = ClockDomain(local=True)
        pin = getattr(self, CLOCK_PORT)
        bad = Signal(name="clock_bad")
        pressed = self._pressed()
        if self._pll is None:
            m.d.comb += [clock.eq(pin), bad.eq(pressed)]
        else:
            locked = Signal(name="pll_locked")
            wires = {"pin": pin, "clock": clock, "locked": locked}
            if self._pll.doubled:
                m.domains += (domain := ClockDomain(DOUBLE, reset_less=True))
                double: Signal = domain.clk  # type: ignore[attr-defined]
                double.attrs["keep"] = 1
                m.submodules.pll = doubled_pll_instance(
                    self._board, self._pll, double=double, **wires
                )
            else:
                m.submodules.pll = pll_instance(self._board, self._pll, **wires)
            m.d.comb += bad.eq(~locked | pressed)
        m.d.comb += ClockSignal("start").eq(clock)
        return bad

    def _pressed(self) -> object:
        button: Pin | None = self._board.reset
        if button is None:
            return 0
        level = self.reset_pin
        return ~level if button.active is Level.LOW else level

    def _reset(self, m: Module, bad: Signal) -> None:
        m.submodules.synchroniser = ResetSynchronizer(bad, domain="start")
        count = Signal(range(RESET_CYCLES))
        held = Signal(init=1)
        m.d.start += count.eq(count + 1)
        with m.If(count == RESET_CYCLES - 1):
            m.d.start += [count.eq(count), held.eq(0)]
        m.d.comb += ResetSignal("sync").eq(held)
