"""Bench of `celosia.hdl.npu.requantizer.Requantizer` against `celosia.golden.quantization`."""

from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from celosia.golden.quantization import (
    FixedPointScaler,
    RoundingMode,
    requantize_float32_integer,
    requantize_float64_integer,
    wrap_int32,
)
from celosia.hdl.npu.requantizer_steps import MULTIPLIER_BITS, Control
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import pack_fields, pack_vector, unpack_vector
from celosia.sim.stalls import Stall

TAG_BITS = 5
CONTROLS = 40
"""Controls that each mode is tried with."""
INT32 = (-(1 << 31), (1 << 31) - 1)
Int64Array = NDArray[np.int64]


class Traffic:
    """Random and corner operands of one control, as beats; `mode` is drawn where none is given."""

    def __init__(self, bench: BlockBench, beats: int, mode: RoundingMode | None = None) -> None:
        self.lanes = bench.parameters["lanes"]
        modes = [RoundingMode[name] for name in bench.parameters["modes"]]
        self._rng = np.random.default_rng(bench.rng.getrandbits(64))
        self._multiplier_bits = max(MULTIPLIER_BITS[m] for m in modes)
        mode = bench.rng.choice(modes) if mode is None else mode
        acc, bias, multiplier, exponent = self._operands(mode, beats)
        result = scaled(mode, wrap_int32(acc + bias), multiplier, exponent)
        zero_point, low, high = self._clamp()
        self._control = {"mode": mode, "zero_point": zero_point, "low": low, "high": high}
        expected = np.clip(result + zero_point, low, high)
        tags = self._rng.integers(0, 1 << TAG_BITS, beats)
        self.beats = [
            self._beat(acc[i], bias[i], multiplier[i], exponent[i])
            | int(tags[i]) << self.lanes * (72 + self._multiplier_bits)
            for i in range(beats)
        ]
        self.expected = [
            pack_vector(expected[i], np.int8) | int(tags[i]) << 8 * self.lanes for i in range(beats)
        ]

    def apply(self, dut: Any) -> None:
        """Set the control, while nothing is inside."""
        dut.control.value = pack_fields(Control, self._control)

    def decode(self, payload: int) -> object:
        """Lanes and tag, for messages."""
        tag, vector = payload >> 8 * self.lanes, payload & (1 << 8 * self.lanes) - 1
        return unpack_vector(vector, self.lanes, np.int8).tolist(), tag

    def _beat(
        self, acc: Int64Array, bias: Int64Array, multiplier: Int64Array, exponent: Int64Array
    ) -> int:
        beat = 0
        for lane in reversed(range(self.lanes)):
            value = int(acc[lane]) & 0xFFFFFFFF
            value |= (int(bias[lane]) & 0xFFFFFFFF) << 32
            value |= int(multiplier[lane]) << 64
            value |= byte(exponent[lane]) << 64 + self._multiplier_bits
            beat = beat << 72 + self._multiplier_bits | value
        return beat

    def _clamp(self) -> tuple[int, int, int]:
        zero_point, *ends = (int(value) for value in self._rng.integers(-128, 128, 3))
        low, high = (-128, 127) if self._rng.random() < 0.7 else sorted(ends)
        return zero_point, low, high

    def _operands(
        self, mode: RoundingMode, beats: int
    ) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
        """Accumulators, biases, multipliers and exponents, most with results near int8."""
        rng, shape = self._rng, (beats, self.lanes)
        bits = MULTIPLIER_BITS[mode]
        corners = [0, 1 << bits - 1, (1 << bits - 1) + 1, (1 << bits) - 1, 3 << bits - 2]
        multiplier = np.where(
            rng.random(shape) < 0.3,
            rng.choice(corners, shape),
            rng.integers(1 << bits - 1, 1 << bits, shape),
        )
        # The sum that the multiplication is to see: of any length, or a corner; often one whose
        # product ends in a half, which few bits in both factors make likely.
        total = rng.integers(*INT32, shape, endpoint=True) >> rng.integers(0, 32, shape)
        corner = [0, 1, -1, *INT32, INT32[0] + 1, INT32[1] - 1, 1 << 30, -(1 << 30), 3, -3]
        total = np.where(rng.random(shape) < 0.1, rng.choice(corner, shape), total)
        round_total = rng.integers(-64, 64, shape) << rng.integers(0, 26, shape)
        total = np.where(rng.random(shape) < 0.3, round_total, total)
        bias = np.where(
            rng.random(shape) < 0.5,
            rng.integers(-(1 << 12), 1 << 12, shape),
            rng.choice([1, -1], shape) * (1 << 30) + rng.integers(-9, 10, shape),
        )
        integer = mode not in (RoundingMode.FLOAT32, RoundingMode.FLOAT64)
        length = np.ceil(np.log2(np.maximum(np.abs(total), 1)))
        near = rng.integers(-3, 10, shape) - length.astype(np.int64)
        if integer:
            anywhere, near = rng.integers(-31, 31, shape), np.clip(near, -31, 30)
        else:
            anywhere, near = rng.integers(-128, 128, shape), near - bits
        exponent = np.where(rng.random(shape) < 0.25, anywhere, near)
        return wrap_int32(total - bias), bias, multiplier, exponent


def scaled(
    mode: RoundingMode, total: Int64Array, multiplier: Int64Array, exponent: Int64Array
) -> Int64Array:
    """The golden result, without zero point and clamp."""
    if mode is RoundingMode.FLOAT32:
        return requantize_float32_integer(total, multiplier, exponent).astype(np.int64)
    if mode is RoundingMode.FLOAT64:
        return requantize_float64_integer(total, multiplier, exponent).astype(np.int64)
    return FixedPointScaler(multiplier, exponent, mode).scale(total.copy())


def byte(value: Any) -> int:
    """A signed value's low eight bits."""
    return int(value) & 0xFF


@cocotb.test()
async def results_are_exact(dut: Any) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=2_000_000)
    source, sink = bench.source("i"), bench.sink("o")
    for name in bench.parameters["modes"] * CONTROLS:
        beats = bench.parameters["values"] // bench.parameters["lanes"] // CONTROLS
        traffic = Traffic(bench, beats, RoundingMode[name])
        traffic.apply(dut)
        cocotb.start_soon(source.send(traffic.beats))
        await sink.check(traffic.expected, traffic.decode)


@cocotb.test()
@cocotb.parametrize(i_stall=list(Stall), o_stall=list(Stall))
async def stalls_change_nothing(dut: Any, i_stall: Stall, o_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source("i", i_stall), bench.sink("o", o_stall)
    for _ in range(10):
        traffic = Traffic(bench, 30)
        traffic.apply(dut)
        cocotb.start_soon(source.send(traffic.beats))
        await sink.check(traffic.expected, traffic.decode)
    await sink.check_quiet(20)


@cocotb.test()
async def latency_and_throughput_are_as_documented(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench, 100)
    traffic.apply(dut)
    sink = bench.sink("o")
    start = bench.cycle
    cocotb.start_soon(bench.source("i").send(traffic.beats))
    await sink.receive(1)
    first = bench.cycle - start
    await sink.receive(99)
    # The first beat is taken in the first cycle, and its result in the one `latency` later.
    assert first == bench.parameters["latency"] + 1, f"latency is {first - 1}"
    cycles = bench.cycle - start - first
    assert cycles == 99 * bench.parameters["cycles"], f"{cycles} cycles for 99 more beats"


@cocotb.test()
async def reset_empties_the_pipeline(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    sink = bench.sink("o", Stall.HALF)
    for _ in range(8):
        traffic = Traffic(bench, 60)
        traffic.apply(dut)
        task = cocotb.start_soon(bench.source("i", Stall.HALF).send(traffic.beats))
        count = bench.rng.randrange(30)
        await sink.check(traffic.expected[:count], traffic.decode)
        task.cancel()
        await bench.reset()
    traffic = Traffic(bench, 60)
    traffic.apply(dut)
    cocotb.start_soon(bench.source("i").send(traffic.beats))
    await sink.check(traffic.expected, traffic.decode)
