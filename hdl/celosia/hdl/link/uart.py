"""UART: bytes on a wire, 8 bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["UartReceiver", "UartTransmitter", "phase_step"]

PHASE_BITS = 16
LEAST_CYCLES = 4
"""Clock cycles that a bit must have: fewer, and a sample may miss the middle of it by half."""


def phase_step(clock_hz: float, baud: int) -> int:
    """What a bit's phase of 2^16 grows by in a clock cycle. Raises ValueError if that is too fast.

    The rate is off by at most half a step: 0.02 % where a bit has 25 cycles.
    """
    if not 0 < baud * LEAST_CYCLES <= clock_hz:
        raise ValueError(
            f"baud must be above 0 and at most {clock_hz / LEAST_CYCLES:,.0f} at a clock of "
            f"{clock_hz:,.0f} Hz, not {baud:,}"
        )
    return round((baud << PHASE_BITS) / clock_hz)


class UartReceiver(wiring.Component):
    """Bytes from a wire.

    A bit is sampled in its middle, a byte offered half a bit before its stop bit ends. Without a
    stop bit, as after noise, it is dropped, and the next start bit is awaited.

    No back-pressure: a byte that isn't taken before the next one is complete is lost.

    Parameters
    ----------
    step : int
        `phase_step` of the rate.

    Members
    -------
    rx : In(1)
        The wire, asynchronous; high when idle.
    o : Out(stream.Signature(8))
        Bytes.
    """

    rx: Signal
    o: stream.Interface

    def __init__(self, *, step: int) -> None:
        self._step = step
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        level = Signal(init=1)
        m.submodules.synchroniser = cdc.FFSynchronizer(self.rx, level, init=1)
        phase = Signal(PHASE_BITS)
        grown = Signal(PHASE_BITS + 1)
        sample = grown[-1]
        bits = Signal(8)
        left = Signal(range(10))
        m.d.comb += grown.eq(phase + self._step)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(left == 0):
            # Half a bit from here is the middle of the start bit.
            m.d.sync += phase.eq(1 << (PHASE_BITS - 1))
            with m.If(~level):
                m.d.sync += left.eq(10)
        with m.Else():
            m.d.sync += phase.eq(grown)
            with m.If(sample):
                m.d.sync += left.eq(left - 1)
                with m.Switch(left):
                    with m.Case(10):
                        with m.If(level):  # a glitch, not a start bit
                            m.d.sync += left.eq(0)
                    with m.Case(1):
                        with m.If(level):
                            m.d.sync += [self.o.payload.eq(bits), self.o.valid.eq(1)]
                    with m.Default():
                        m.d.sync += bits.eq(Cat(bits[1:], level))
        return m


class UartTransmitter(wiring.Component):
    """Bytes onto a wire.

    A byte takes ten bits of 2^16 / ``step`` clock cycles; the next one is taken as the last bit
    ends.

    Parameters
    ----------
    step : int
        `phase_step` of the rate.

    Members
    -------
    i : In(stream.Signature(8))
        Bytes.
    tx : Out(1)
        The wire; high when idle.
    """

    i: stream.Interface
    tx: Signal

    def __init__(self, *, step: int) -> None:
        self._step = step
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        phase = Signal(PHASE_BITS)
        grown = Signal(PHASE_BITS + 1)
        bits = Signal(9)
        left = Signal(range(11))
        m.d.comb += [grown.eq(phase + self._step), self.i.ready.eq(left == 0)]
        with m.If(left == 0):
            m.d.sync += phase.eq(0)
            with m.If(self.i.valid):
                m.d.sync += [self.tx.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(10)]
        with m.Else():
            m.d.sync += phase.eq(grown)
            with m.If(grown[-1]):
                m.d.sync += [self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        return m
