# amaranth: UnusedElaboratable=no
"""The board's top: clock, reset, serial line and lights, in simulation."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator
from support.echo_core import EchoCore

from celosia.boards import top
from celosia.boards.load import board_from_mapping, load_board
from celosia.boards.pll import pll_settings

BIT = 4
"""Clock cycles of a bit."""
BOARD = board_from_mapping(
    {
        "base": "ulx3s-25f",
        "frequency_mhz": 4,
        "clock": {"mhz": 4},
        "leds": ["B2", {"pin": "C2", "active": "low"}, "C1"],
    },
    default_name="slow",
)


def simulate(dut, bench):
    """Run a bench that is given a function that makes clock cycles."""
    simulator = Simulator(dut)

    async def testbench(ctx):
        async def cycles(count):
            for _ in range(count):
                ctx.set(dut.clock_pin, 1)
                await ctx.delay(1e-7)
                ctx.set(dut.clock_pin, 0)
                await ctx.delay(1e-7)

        ctx.set(dut.rx, 1)
        await bench(ctx, cycles)

    simulator.add_testbench(testbench)
    simulator.run()


async def exchange(ctx, dut, cycles, byte):
    """Send a byte; the bits of the line for the next 16 bit times, sampled in their middles."""
    heard = []
    for level in [0, *(byte >> i & 1 for i in range(8)), 1]:
        ctx.set(dut.rx, level)
        for _ in range(BIT):
            await cycles(1)
            heard.append(ctx.get(dut.tx))
    for _ in range(12 * BIT):
        await cycles(1)
        heard.append(ctx.get(dut.tx))
    start = heard.index(0)
    bits = [heard[start + BIT // 2 + BIT * i] for i in range(1, 10)]
    assert bits[8] == 1  # the stop bit
    return sum(bit << i for i, bit in enumerate(bits[:8]))


def test_bytes_lights_and_reset():
    dut = top.BoardTop(BOARD, None, EchoCore())

    async def bench(ctx, cycles):
        await cycles(top.RESET_CYCLES + 8)
        lights = [ctx.get(getattr(dut, f"led_{i}")) for i in range(3)]
        assert lights == [0, 1, 0]  # all off; the second one is lit by a low level
        assert await exchange(ctx, dut, cycles, 0x5A) == 0x5B
        assert ctx.get(dut.led_2) == 0
        assert await exchange(ctx, dut, cycles, 0) == 1
        assert ctx.get(dut.led_2) == 1
        ctx.set(dut.reset_pin, 1)
        await cycles(3)
        ctx.set(dut.reset_pin, 0)
        await cycles(4)
        assert ctx.get(dut.led_2) == 0  # a zero was forgotten
        # In reset nobody listens.
        ctx.set(dut.rx, 0)
        await cycles(top.RESET_CYCLES // 2)
        assert ctx.get(dut.tx) == 1
        ctx.set(dut.rx, 1)
        await cycles(top.RESET_CYCLES)
        assert await exchange(ctx, dut, cycles, 0xFF) == 0

    simulate(dut, bench)


def test_busy_is_lit_while_a_byte_is_sent():
    dut = top.BoardTop(BOARD, None, EchoCore())

    async def bench(ctx, cycles):
        await cycles(top.RESET_CYCLES + 8)
        seen = []
        for level in [0, *[1] * 20]:
            ctx.set(dut.rx, level)
            await cycles(BIT)
            seen.append(ctx.get(dut.led_1) == 0)
        assert seen[0] is False
        assert seen.count(True) in (9, 10, 11)

    simulate(dut, bench)


def test_the_line_is_lit_for_a_while_after_a_byte(monkeypatch):
    monkeypatch.setattr(top, "_LIT_S", 256 / 4e6)
    dut = top.BoardTop(BOARD, None, EchoCore())

    async def bench(ctx, cycles):
        await cycles(top.RESET_CYCLES + 8)
        await exchange(ctx, dut, cycles, 1)
        lit = []
        for _ in range(1024):
            await cycles(1)
            lit.append(ctx.get(dut.led_0))
        assert lit.count(1) == 256
        assert lit.index(1) < 256

    simulate(dut, bench)


class FakePll(wiring.Component):
    """Stands in for a PLL: its clock is the pin's, its lock the test's."""

    def __init__(self, pin, clock, locked, lock):
        self._wires = pin, clock, locked, lock
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        pin, clock, locked, lock = self._wires
        m.d.comb += [clock.eq(pin), locked.eq(lock)]
        return m


def test_reset_waits_for_the_pll_and_comes_back_with_its_loss(monkeypatch):
    lock = Signal()
    monkeypatch.setattr(
        top,
        "pll_instance",
        lambda board, settings, pin, clock, locked: FakePll(pin, clock, locked, lock),
    )
    board = board_from_mapping(
        {"base": "ulx3s-25f", "frequency_mhz": 4, "clock": {"mhz": 16}}, default_name="locking"
    )
    dut = top.BoardTop(board, pll_settings(board), EchoCore())

    async def answers(ctx, cycles):
        """Is a byte answered?"""
        heard = []
        for level in [0, *[1] * 24]:
            ctx.set(dut.rx, level)
            for _ in range(BIT):
                await cycles(1)
                heard.append(ctx.get(dut.tx))
        return 0 in heard

    async def bench(ctx, cycles):
        await cycles(2 * top.RESET_CYCLES)
        assert not await answers(ctx, cycles)
        ctx.set(lock, 1)
        await cycles(top.RESET_CYCLES - 120)
        assert not await answers(ctx, cycles)
        await cycles(30)
        assert await answers(ctx, cycles)
        ctx.set(lock, 0)  # between clock edges
        await ctx.delay(1e-8)
        ctx.set(lock, 1)
        await cycles(4)
        assert not await answers(ctx, cycles)
        await cycles(top.RESET_CYCLES)
        assert await answers(ctx, cycles)

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["colorlight-i5", "icebreaker", "tang-nano-9k"])
def test_ports_are_those_of_the_board(name):
    board = load_board(name)
    dut = top.BoardTop(board, pll_settings(board), EchoCore())
    ports = {"clock_pin", "rx", "tx", *(f"led_{i}" for i in range(len(board.leds)))}
    assert set(dut.signature.members) == ports | ({"reset_pin"} if board.reset else set())
