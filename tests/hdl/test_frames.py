"""The link's frames in gateware: the cycles that their docstrings state."""

import random

import pytest
from amaranth.sim import Simulator

from celosia.golden.link.frames import Frame, encode_frame
from celosia.hdl.link.frame_receiver import FrameReceiver
from celosia.hdl.link.frame_transmitter import FrameTransmitter

SEED = 3


def simulate(component, testbench):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run_until(1e-2)


def some_frame(size):
    """A frame of ``size`` bytes in its body, some of them zeros."""
    rng = random.Random(SEED + size)
    print(f"seed {SEED + size}")
    return Frame(7, 0, bytes(rng.choice([0, 0, 1, 255, rng.randrange(256)]) for _ in range(size)))


@pytest.mark.parametrize("size", [0, 1, 50, 248])
def test_receiver_takes_a_byte_every_ten_cycles(size):
    dut, frame = FrameReceiver(), some_frame(size)
    checked = []

    async def testbench(ctx):
        cycle, taken = 0, []
        for byte in encode_frame(frame):
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            while not ctx.get(dut.i.ready):
                await ctx.tick()
                cycle += 1
            taken.append(cycle)
            await ctx.tick()
            cycle += 1
        ctx.set(dut.i.valid, 0)
        # Those that say where zeros are aren't summed: the first one.
        assert taken == [0, *range(2, 10 * (len(taken) - 1), 10)]
        while not ctx.get(dut.frame.valid):
            await ctx.tick()
            cycle += 1
        assert cycle == taken[-1] + 3
        assert ctx.get(dut.frame.payload) == size + 2
        for place, byte in enumerate([7, 0, *frame.body]):
            ctx.set(dut.address, place)
            await ctx.tick()
            assert ctx.get(dut.byte) == byte
        checked.append(True)

    simulate(dut, testbench)
    assert checked


@pytest.mark.parametrize("size", [0, 1, 50, 248])
def test_transmitter_takes_a_byte_in_ten_cycles_and_sends_one_in_two(size):
    dut, frame = FrameTransmitter(), some_frame(size)
    checked = []

    async def testbench(ctx):
        content = [7, 0, *frame.body]
        for _ in range(2):  # the second frame finds nothing of the first
            for place, byte in enumerate(content):
                ctx.set(dut.i.payload.byte, byte)
                ctx.set(dut.i.payload.last, int(place == len(content) - 1))
                ctx.set(dut.i.valid, 1)
                for waited in range(10 if place else 1):
                    assert ctx.get(dut.i.ready) == (waited == 9 or not place)
                    await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.o.ready, 1)
            cycle, sent = 1, []
            while not ctx.get(dut.i.ready):
                if ctx.get(dut.o.valid):
                    sent.append((cycle, ctx.get(dut.o.payload)))
                await ctx.tick()
                cycle += 1
            line = encode_frame(frame)
            cycles = [*range(53, 53 + 2 * (len(line) - 1), 2)]
            assert sent == list(zip([*cycles, cycles[-1] + 1], line, strict=True))
        checked.append(True)

    simulate(dut, testbench)
    assert checked
