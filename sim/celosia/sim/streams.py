"""Drive and watch Amaranth streams from cocotb.

A stream port ``x`` becomes the Verilog ports ``x__payload``, ``x__valid`` and ``x__ready``. A
transfer happens at a clock edge where valid and ready are both high. Whoever offers a beat must
hold valid and payload until it is taken.

Both ends keep one rule of timing: wait for the edge, sample (which gives the values from before
the edge), then write.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
from cocotb.handle import LogicObject
from cocotb.triggers import Event, RisingEdge

from celosia.sim.scoreboard import Decode, Scoreboard
from celosia.sim.stalls import Stall


class StreamSource:
    """Sends beats into an input stream of the DUT.

    While it offers nothing, its payload is random: a DUT that looks at a payload without valid
    is found out.

    Parameters
    ----------
    dut : handle
        The DUT.
    prefix : str
        Name of the stream port.
    clk : handle
        Clock.
    stall : Stall
        When to hold back.
    rng : random.Random
        Where stalls and idle payloads come from.
    """

    def __init__(
        self,
        dut: Any,
        prefix: str,
        clk: LogicObject,
        *,
        stall: Stall = Stall.NEVER,
        rng: random.Random,
    ) -> None:
        self._payload, self._valid, self._ready = _stream_ports(dut, prefix)
        self._prefix = prefix
        self._edge = RisingEdge(clk)
        self._rng = rng
        self._stalls = stall.cycles(rng)
        self._sent = 0
        self._valid.value = 0

    async def send(self, beats: Iterable[int]) -> None:
        """Send payloads in order; returns at the edge that takes the last one.

        To be called after a clock edge.
        """
        payload, valid, ready, edge = self._payload, self._valid, self._ready, self._edge
        width = len(payload)
        for beat in beats:
            while next(self._stalls):
                valid.value = 0
                payload.value = self._rng.getrandbits(width)
                await edge
            payload.value = beat
            valid.value = 1
            await edge
            while not ready.value:
                await edge
            self._sent += 1
        valid.value = 0

    def withdraw(self) -> None:
        """Offer nothing from now on: the DUT is being reset. A `send` under way must be ended."""
        self._valid.value = 0

    def status(self) -> str:
        """What it is doing, for the message of a hang."""
        if self._valid.value:
            return f"{self._prefix} offers beat {self._sent} and waits for ready"
        return f"{self._prefix} has sent {self._sent} beats and offers none"


class StreamSink:
    """Takes beats from an output stream of the DUT, from its creation on, and checks the protocol.

    A dropped valid, or a payload that changes before it is taken, fails the test at once.

    Parameters
    ----------
    dut, prefix, clk, stall, rng
        As for `StreamSource`; ``stall`` says when ready is low.
    """

    def __init__(
        self,
        dut: Any,
        prefix: str,
        clk: LogicObject,
        *,
        stall: Stall = Stall.NEVER,
        rng: random.Random,
    ) -> None:
        self._payload, self._valid, self._ready = _stream_ports(dut, prefix)
        self._prefix = prefix
        self._edge = RisingEdge(clk)
        self._stalls = stall.cycles(rng)
        self._beats: list[int] = []
        self._taken = 0
        self._wanted = 0
        self._arrival = Event()
        self._looking = True
        self._ready.value = 0
        self._task = cocotb.start_soon(self._watch())

    async def receive(self, count: int) -> list[int]:
        """The next ``count`` payloads, as soon as they are there."""
        self._wanted = self._taken + count
        while len(self._beats) < count:
            self._arrival.clear()
            await self._arrival.wait()
        beats, self._beats = self._beats[:count], self._beats[count:]
        self._taken += count
        return beats

    async def check(self, expected: Sequence[int], decode: Decode = hex) -> None:
        """Receive ``len(expected)`` payloads and compare each as it arrives (`Scoreboard`)."""
        board = Scoreboard(self._prefix, expected, decode)
        for _ in expected:
            board.observe((await self.receive(1))[0])

    async def check_quiet(self, cycles: int) -> None:
        """Fail if any beat is left over, or arrives within ``cycles`` clock cycles."""
        for _ in range(cycles):
            await self._edge
        if self._beats:
            raise AssertionError(
                f"{self._prefix}: {len(self._beats)} beats more than expected, "
                f"the first {self._beats[0]:#x}"
            )

    def look_away(self) -> None:
        """Take nothing and check nothing from now on: the DUT is being reset."""
        self._looking = False

    def look_again(self) -> None:
        """Begin anew, without the beats that nobody received."""
        self._beats.clear()
        self._looking = True

    def status(self) -> str:
        """What it is doing, for the message of a hang."""
        got = self._taken + len(self._beats)
        if got < self._wanted:
            return f"{self._prefix} waits for beat {got} (valid is {self._valid.value})"
        return f"{self._prefix} has got {got} beats and waits for none"

    async def _watch(self) -> None:
        payload, valid, ready, edge = self._payload, self._valid, self._ready, self._edge
        is_ready = False
        held: int | None = None  # offered and not taken yet
        while True:
            await edge
            if not self._looking:
                held = None
                is_ready = False
                ready.value = 0
                continue
            if valid.value:
                beat = payload.value.to_unsigned()
                if held is not None and beat != held:
                    raise AssertionError(
                        f"{self._prefix}: payload changed from {held:#x} to {beat:#x} "
                        "before it was taken"
                    )
                held = None if is_ready else beat
                if is_ready:
                    self._beats.append(beat)
                    self._arrival.set()
            elif held is not None:
                raise AssertionError(
                    f"{self._prefix}: valid was dropped before {held:#x} was taken"
                )
            is_ready = not next(self._stalls)
            ready.value = is_ready


def _stream_ports(dut: Any, prefix: str) -> tuple[Any, Any, Any]:
    try:
        return tuple(getattr(dut, f"{prefix}__{part}") for part in ("payload", "valid", "ready"))
    except AttributeError as error:
        raise ValueError(f"the DUT has no stream {prefix!r}: {error}") from None
