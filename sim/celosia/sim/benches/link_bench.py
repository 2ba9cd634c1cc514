"""Bench of `celosia.hdl.link.link.Link` against its model, `celosia.golden.link.endpoint`."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.config import PRESETS
from celosia.golden.link.commands import MAX_WORDS, Request
from celosia.golden.link.endpoint import Endpoint
from celosia.golden.link.frames import Frame, FrameReader, encode_frame
from celosia.golden.link.identity import board_identity
from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

IDENTITY = board_identity(PRESETS["npu8x8"], "0.1.0", bytes(range(8)))
FRAMES = 120
Access = tuple[str, int, int]


def contents(address: int) -> int:
    """What the bus answers where nothing was written."""
    return (address * 0x9E37_79B1 + 0x0123) & 0xFFFF_FFFF


class RecordingBus:
    """Memory that remembers its accesses."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self._words: dict[int, int] = {}

    def read(self, address: int) -> int:
        """The word last written, or `contents`."""
        word = self._words.get(address, contents(address))
        self.accesses.append(("read", address, word))
        return word

    def write(self, address: int, word: int) -> None:
        """Keep a word."""
        self.accesses.append(("write", address, word))
        self._words[address] = word


async def serve(dut: Any, bench: BlockBench, bus: RecordingBus, stall: Stall) -> None:
    """Answer the DUT's accesses, the answer to a read some time after the read was taken."""
    edge, stalls = RisingEdge(bench.clk), stall.cycles(bench.rng)
    dut.request__ready.value = 0
    dut.response__valid.value = 0
    while True:
        await edge
        if not dut.request__valid.value:
            continue
        access = dut.request__payload.value.to_unsigned()
        write, address, data = access & 1, access >> 1 & 0xFFFF_FFFF, access >> 33
        while next(stalls):
            await edge
            assert dut.request__valid.value, "request was dropped"
            assert dut.request__payload.value.to_unsigned() == access, "request changed"
        dut.request__ready.value = 1
        await edge
        dut.request__ready.value = 0
        if write:
            bus.write(address, data)
        else:
            while next(stalls):
                await edge
            dut.response__payload.value = bus.read(address)
            dut.response__valid.value = 1
            await edge
            while not dut.response__ready.value:
                await edge
            dut.response__valid.value = 0


def random_frame(bench: BlockBench, expected: int) -> Frame:
    """Any command, most often well-formed and in turn."""
    rng = bench.rng
    sequence = expected if rng.random() < 0.85 else rng.randrange(256)
    address = rng.randrange(1 << 32).to_bytes(4, "little")
    kind = rng.random()
    if kind < 0.35:
        count = rng.choice([1, 2, MAX_WORDS, rng.randint(1, MAX_WORDS)])
        return Frame(sequence, Request.READ, address + bytes([count]))
    if kind < 0.75:
        count = rng.choice([1, 1, 2, MAX_WORDS])
        words = b"".join(
            rng.choice([0, 1, 0xFFFFFFFF, rng.getrandbits(32)]).to_bytes(4, "little")
            for _ in range(count)
        )
        return Frame(sequence, Request.WRITE, address + words)
    if kind < 0.8:
        return Frame(rng.randrange(256), Request.CONNECT, rng.randbytes(4))
    return Frame(
        sequence,
        rng.choice([*Request, rng.randrange(256)]),
        rng.randbytes(rng.choice([0, 1, 3, 4, 5, 6, 8, 9, 240, 244, 248])),
    )


@cocotb.test()
@cocotb.parametrize(
    line_stall=[Stall.NEVER, Stall.HALF],
    answer_stall=[Stall.NEVER, Stall.BURSTS],
    bus_stall=[Stall.NEVER, Stall.HALF],
)
async def frames_are_answered_as_the_model_answers(
    dut: Any, line_stall: Stall, answer_stall: Stall, bus_stall: Stall
) -> None:
    """Random commands amid garbage: the same answers and the same accesses, in order."""
    bench = await BlockBench.start(dut, timeout_cycles=400_000)
    source, sink = bench.source("rx", line_stall), bench.sink("tx", answer_stall)
    bus, twin_bus = RecordingBus(), RecordingBus()
    cocotb.start_soon(serve(dut, bench, bus, bus_stall))
    endpoint = Endpoint(IDENTITY, twin_bus)
    line, answers = bytearray(), bytearray()
    reader = FrameReader()
    expected = 0
    for _ in range(FRAMES):
        if bench.rng.random() < 0.3:
            garbage = bench.rng.randbytes(bench.rng.choice([1, 5, 40, 300])) + b"\0"
            line += garbage
            assert reader.feed(garbage) == []
        frame = random_frame(bench, expected)
        line += encode_frame(frame)
        (arrived,) = reader.feed(encode_frame(frame))
        answer = endpoint.answer(arrived)
        answers += encode_frame(answer)
        expected = endpoint.expected
    cocotb.start_soon(source.send(line))
    await sink.check(list(answers))
    await sink.check_quiet(600)
    assert bus.accesses == twin_bus.accesses


@cocotb.test()
async def garbage_reaches_nothing(dut: Any) -> None:
    """Random byte strings cause no access and no hang: a CONNECT behind them is answered."""
    bench = await BlockBench.start(dut, timeout_cycles=10_000_000)
    source, sink = bench.source("rx"), bench.sink("tx")
    bus = RecordingBus()
    cocotb.start_soon(serve(dut, bench, bus, Stall.NEVER))
    rng, reader = bench.rng, FrameReader()
    connect = Frame(7, Request.CONNECT, b"\1\0\2\3")
    endpoint = Endpoint(IDENTITY, RecordingBus())
    strings = int(bench.parameters["strings"])
    for begin in range(0, strings, 1000):
        line = bytearray()
        for _ in range(min(1000, strings - begin)):
            line += _string(rng)
        line += b"\0"
        assert reader.feed(bytes(line)) == []
        line += encode_frame(connect)
        cocotb.start_soon(source.send(line))
        await sink.check(list(encode_frame(endpoint.answer(connect))))
    assert bus.accesses == []


def _string(rng: Any) -> bytes:
    """Garbage that is often nearly a frame."""
    if rng.random() < 0.7:
        return bytes(rng.randbytes(rng.randint(1, 12)))
    frame = Frame(
        rng.randrange(256), rng.choice(list(Request)), rng.randbytes(rng.choice([4, 5, 8]))
    )
    damaged = bytearray(encode_frame(frame))
    place = rng.randrange(len(damaged) - 1)
    damaged[place] ^= rng.randint(1, 255)
    if rng.random() < 0.3:
        del damaged[rng.randrange(len(damaged) - 1)]
    return bytes(damaged)
