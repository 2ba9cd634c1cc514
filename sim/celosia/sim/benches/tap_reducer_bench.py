"""Bench of `celosia.hdl.npu.tap_reducer.TapReducer` against sums and maxima of lists."""

from typing import Any

import cocotb
from amaranth.lib import data

from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.tap_reducer import SUM_BITS, Tap
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall
from celosia.sim.streams import StreamSource

WINDOWS = 60
LONG_WINDOW = 400
KINDS = ("pair", "sum", "maximum")


class Window:
    """Random taps, some outside of the image, and the result of their reduction."""

    def __init__(self, bench: BlockBench, kind: str, length: int | None = None) -> None:
        lanes, rng = bench.parameters["lanes"], bench.rng
        length = length or (2 if kind == "pair" else rng.choice([1, 1, 2, 3, 9]))
        self.kind = kind
        self.padding = rng.choice([-128, 0, rng.randrange(-128, 128)])
        low = rng.choice([-128, -128, -1, 127, -LONG_WINDOW])
        self.taps: list[int] = []
        seen: list[list[int]] = []
        for number in range(length):
            values = [max(-128, rng.randint(low, max(low, 127))) for _ in range(lanes)]
            outside = rng.random() < 0.2
            tag = {"first": number == 0, "final": number == length - 1, "outside": outside}
            self.taps.append(pack_fields(tap_layout(bench), {"vector": values, "tag": tag}))
            seen.append([self.padding] * lanes if outside else values)
        columns = list(zip(*seen, strict=True))
        if kind == "pair":
            result = [first % 256 | final % 256 << 8 for first, final in columns]
        else:
            result = [(sum if kind == "sum" else max)(column) for column in columns]
        self.result = pack_fields(vector(lanes, SUM_BITS), result)

    async def send(self, dut: Any, source: StreamSource, taps: slice = slice(None)) -> None:
        """Set what must not change during the window, and send it."""
        dut.pair.value = self.kind == "pair"
        dut.maximum.value = self.kind == "maximum"
        dut.padding.value = self.padding
        await source.send(self.taps[taps])


def tap_layout(bench: BlockBench) -> Any:
    """Payload of a tap."""
    return data.StructLayout({"vector": vector(bench.parameters["lanes"]), "tag": Tap})


async def send_all(dut: Any, source: StreamSource, windows: list[Window]) -> None:
    """One window after the other."""
    for window in windows:
        await window.send(dut, source)


@cocotb.test()
@cocotb.parametrize(i_stall=list(Stall), o_stall=list(Stall))
async def windows_are_reduced(dut: Any, i_stall: Stall, o_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    windows = [Window(bench, bench.rng.choice(KINDS)) for _ in range(WINDOWS)]
    windows += [Window(bench, kind, LONG_WINDOW) for kind in ("sum", "maximum")]
    sink = bench.sink("o", o_stall)
    cocotb.start_soon(send_all(dut, bench.source("i", i_stall), windows))
    layout = vector(bench.parameters["lanes"], SUM_BITS)
    await sink.check([w.result for w in windows], lambda payload: fields_of(layout, payload))
    await sink.check_quiet(10)


@cocotb.test()
async def a_tap_passes_every_cycle(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    windows = [Window(bench, bench.rng.choice(KINDS)) for _ in range(WINDOWS)]
    sink = bench.sink("o")
    await bench.cycles(1)
    start = bench.cycle
    await send_all(dut, bench.source("i"), windows)
    assert bench.cycle - start == sum(len(window.taps) for window in windows)
    await bench.cycles(2)
    assert bench.cycle - start == 2 + sum(len(window.taps) for window in windows)
    assert await sink.receive(WINDOWS) == [window.result for window in windows]
    assert bench.cycle - start == 2 + sum(len(window.taps) for window in windows), "latency"


@cocotb.test()
async def only_a_final_tap_waits(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    source = bench.source("i")
    dut.o__ready.value = 0
    before, after = Window(bench, "sum", 3), Window(bench, "maximum", 5)
    start = bench.cycle
    await before.send(dut, source)
    await after.send(dut, source)
    assert bench.cycle - start == 3 + 5
    behind = Window(bench, "pair")
    cocotb.start_soon(behind.send(dut, source))
    for _ in range(20):
        await bench.cycles(1)
        assert not dut.i__ready.value
        assert dut.o__payload.value.to_unsigned() == before.result
    dut.o__ready.value = 1
    # Taps are taken again as the result before is.
    for result in (before.result, after.result, None, behind.result):
        await bench.cycles(1)
        assert dut.o__valid.value == (result is not None)
        assert result in (None, dut.o__payload.value.to_unsigned())


@cocotb.test()
async def reset_forgets_result_and_window(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    source = bench.source("i", Stall.HALF)
    sink = bench.sink("o", Stall.BURSTS)
    for _ in range(20):
        windows = [Window(bench, bench.rng.choice(KINDS)) for _ in range(WINDOWS)]
        task = cocotb.start_soon(send_all(dut, source, windows))
        await bench.cycles(bench.rng.randrange(1, 40))
        task.cancel()
        await bench.reset()
        window = Window(bench, bench.rng.choice(KINDS))
        await window.send(dut, source)
        await sink.check([window.result])
        await sink.check_quiet(5)
