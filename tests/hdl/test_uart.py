"""UART: bytes survive the wire at every rate, with clocks that differ, next to glitches."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from celosia.hdl.link.uart import UartReceiver, UartTransmitter, phase_step

SEED = 5
CLOCK = 25_000_000


class Wire(wiring.Component):
    """A transmitter and a receiver whose rate is off, with a switch that pulls the wire low."""

    def __init__(self, baud, off):
        self._steps = phase_step(CLOCK, baud), round(phase_step(CLOCK, baud) * (1 + off))
        super().__init__(
            {
                "low": In(1),
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.tx = tx = UartTransmitter(step=self._steps[0])
        m.submodules.rx = rx = UartReceiver(step=self._steps[1])
        wiring.connect(m, wiring.flipped(self.i), tx.i)
        wiring.connect(m, rx.o, wiring.flipped(self.o))
        m.d.comb += rx.rx.eq(tx.tx & ~self.low)
        return m


def run(dut, *testbenches):
    simulator = Simulator(dut)
    simulator.add_clock(1 / CLOCK)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("baud", [115_200, 1_000_000, 3_000_000, CLOCK // 4])
@pytest.mark.parametrize("off", [-0.02, 0, 0.02])
def test_bytes_survive_the_wire(baud, off):
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    sent = [0, 255, 0x55, 0xAA, *(rng.randrange(256) for _ in range(16))]
    received = []
    dut = Wire(baud, off)

    async def send(ctx):
        for byte in sent:
            if rng.random() < 0.3:
                await ctx.tick().repeat(rng.randrange(1, 60))
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        ctx.set(dut.o.ready, 1)
        while len(received) < len(sent):
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                received.append(byte)

    run(dut, send, receive)
    assert received == sent


def test_glitches_and_missing_stop_bits_are_no_bytes():
    dut = Wire(1_000_000, 0)
    received = []

    async def disturb(ctx):
        ctx.set(dut.o.ready, 1)
        for low in (3, 11, 250, 400, 2):  # shorter than half a bit; then ten bits and more
            ctx.set(dut.low, 1)
            await ctx.tick().repeat(low)
            ctx.set(dut.low, 0)
            await ctx.tick().repeat(600)
        ctx.set(dut.i.payload, 0x5A)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)
        for _ in range(400):
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                received.append(byte)

    run(dut, disturb)
    assert received == [0x5A]


@pytest.mark.parametrize("baud", [0, -1, CLOCK // 4 + 1])
def test_a_rate_beyond_the_clock_is_refused(baud):
    with pytest.raises(ValueError, match=r"^baud must be above 0 and at most 6,250,000 at a clock"):
        phase_step(CLOCK, baud)
