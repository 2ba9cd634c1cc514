"""The golden machine against plain loops written from the instruction set, and its refusals."""

from dataclasses import replace

import numpy as np
import pytest

from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import (
    INSTRUCTION_BYTES,
    VECTOR_INSTRUCTIONS,
    Add,
    Depthwise,
    DepthwiseWindow,
    Drain,
    Halt,
    LoadDepthwise,
    LoadParameters,
    LoadTable,
    LoadWeights,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
    Reduction,
    Semaphore,
    decode,
)
from celosia.golden.machine import ExactEngine, Machine
from celosia.golden.quantization import requantize
from celosia.golden.rounding import RoundingMode, RoundingProfile

PROGRAM = 2000


def config(rows=6, columns=10, lanes=3):
    return NpuConfig(
        name="machine",
        rows=rows,
        columns=columns,
        scratchpad_kib=4,
        weight_kib=64,
        accumulator_depth=64,
        requantizer_lanes=lanes,
        profiles=tuple(RoundingProfile),
    )


def machine_with(instructions, npu=None, seed=0):
    """A machine with random memories and a program at PROGRAM."""
    machine = Machine(npu or config())
    rng = np.random.default_rng(seed)
    machine.scratchpad[:] = rng.integers(-128, 128, machine.scratchpad.shape)
    machine.weights[:] = rng.integers(0, 256, machine.weights.shape)
    machine.accumulators[:] = rng.integers(-(2**20), 2**20, machine.accumulators.shape)
    size = machine.config.instruction_vectors
    for index, instruction in enumerate(instructions):
        word = instruction.encode().to_bytes(INSTRUCTION_BYTES, "little")
        row = machine.weights[PROGRAM + index * size :][:size]
        row[:] = 0
        row.reshape(-1)[:INSTRUCTION_BYTES] = np.frombuffer(word, np.uint8)
    return machine


def matrix_loops(kernel=(2, 3, 2), steps=(1, 7, 2, 3, 21), y=(0, 1, 0, 0, 1), x=(2, 0, 0, 1, 0)):
    counts = (1, 1, *kernel)
    return [
        MatrixLoop(level=n, count=counts[n], address_step=steps[n], y_step=y[n], x_step=x[n])
        for n in range(5)
    ]


def visited(loops, start, counts, machine, image):
    """Vectors of a nest in plain loops, keyed by the indices of levels 4 to 0."""
    result = {}
    for index in np.ndindex(*reversed(counts)):
        address, y, x = start
        for level, i in zip(reversed(range(5)), index, strict=True):
            address += i * loops[level].address_step
            y += i * loops[level].y_step
            x += i * loops[level].x_step
        inside = 0 <= y < image.height and 0 <= x < image.width
        vector = machine.scratchpad[address] if inside else [image.padding] * machine.config.rows
        result[index] = np.array(vector, np.int64)
    return result


@pytest.mark.parametrize(("rows", "columns"), [(6, 10), (10, 6), (4, 4), (5, 16)])
def test_matmul(rows, columns):
    npu = config(rows, columns, lanes=rows)
    loops, image = matrix_loops(), MatrixInput(height=4, width=5, padding=-9)
    matmul = Matmul(address=40, y=-1, x=-1, accumulator=3, rows=4, columns=3)
    program = [image, *loops, LoadWeights(address=11, tiles=12), matmul, Halt()]
    machine = machine_with(program, npu)
    taps = visited(loops, (40, -1, -1), (3, 4, 2, 3, 2), machine, image)
    tiles = machine.weights[11 : 11 + 12 * rows].view(np.int8).reshape(2, 3, 2, rows, columns)
    expected = machine.accumulators.astype(np.int64)
    expected[3 : 3 + 12] = 0
    for (ky, kx, cv, row, column), vector in taps.items():
        expected[3 + row * 3 + column] += vector @ tiles[ky, kx, cv].astype(np.int64)
    machine.run(PROGRAM)
    np.testing.assert_array_equal(machine.accumulators, expected)


def test_matmuls_that_accumulate_leave_what_one_would():
    image = MatrixInput(height=4, width=5, padding=-9)
    whole = Matmul(address=40, y=-1, x=-1, accumulator=3, rows=4, columns=3)
    load = LoadWeights(address=11, tiles=12)
    once = machine_with([image, *matrix_loops(), load, whole, Halt()])
    once.run(PROGRAM)
    # One kernel row at a time: level 4 steps 21 vectors and one image row.
    rows = [replace(whole, address=40 + 21 * n, y=n - 1, accumulate=int(n > 0)) for n in range(2)]
    split = machine_with([image, *matrix_loops((2, 3, 1)), load, *rows, Halt()])
    split.run(PROGRAM)
    np.testing.assert_array_equal(split.accumulators, once.accumulators)


@pytest.mark.parametrize(
    ("rows", "columns", "window"),
    [
        (6, 10, DepthwiseWindow(rows=3, columns=3, groups=1, stride_y=1, stride_x=2)),
        (4, 4, DepthwiseWindow(rows=2, columns=7, groups=3, stride_y=3, stride_x=1)),
        (10, 6, DepthwiseWindow(rows=5, columns=1, groups=1, stride_y=2, stride_x=3, lane=6)),
        (
            10,
            6,
            DepthwiseWindow(
                rows=1, columns=4, groups=2, stride_y=1, stride_x=1, multiplier=3, lane=5, phase=2
            ),
        ),
    ],
)
def test_depthwise(rows, columns, window):
    npu = config(rows, columns, lanes=rows)
    taps = npu.depthwise_taps
    loops, image = matrix_loops(), MatrixInput(height=7, width=5, padding=-9)
    size = (3, 4)
    strip = (2 * window.stride_y + window.rows, 3 * window.stride_x + window.columns)
    depthwise = Depthwise(
        address=60,
        y=-1,
        x=-2,
        accumulator=3,
        rows=size[0],
        columns=size[1],
        strip_rows=strip[0],
        strip_columns=strip[1],
    )
    count = window.rows * window.groups * taps
    load = LoadDepthwise(address=11, vectors=count)
    machine = machine_with([image, *loops, window, load, depthwise, Halt()], npu)
    words = machine.weights[11 : 11 + count].view(np.int8)
    words = words.reshape(window.groups, window.rows, taps, columns)
    vectors = visited(loops, (60, -1, -2), (*strip, 1, 1, 1), machine, image)
    expected = machine.accumulators.copy()
    expected[3 : 3 + 12] = 0
    for xo, yo, ky, kx in np.ndindex(size[1], size[0], window.rows, window.groups * taps):
        weight = words[kx // taps, ky, kx % taps]
        if kx >= window.columns:
            weight[:] = 0
            continue
        at = (0, 0, 0, xo * window.stride_x + kx, yo * window.stride_y + ky)
        for j in range(min(rows, columns)):
            lane = window.lane + (window.phase + j) // window.multiplier
            if lane < rows:
                expected[3 + xo * size[0] + yo, j] += vectors[at][lane] * weight[j]
    machine.run(PROGRAM)
    np.testing.assert_array_equal(machine.accumulators, expected)


@pytest.mark.parametrize("accumulate", [0, 1])
def test_sums_wrap_at_32_bits(accumulate):
    class Huge:
        def multiply(self, vectors, tiles):
            return np.full((vectors.shape[1], tiles.shape[2]), 2**31 + 5, np.int64)

    matmul = Matmul(address=0, y=0, x=0, accumulator=0, rows=1, columns=1)
    program = [
        MatrixInput(height=1, width=1, padding=0),
        *matrix_loops((1, 1, 1)),
        LoadWeights(address=0, tiles=2),
        matmul,
        replace(matmul, accumulate=accumulate),
        Halt(),
    ]
    machine = machine_with(program)
    replaced = Machine(machine.config, Huge())
    replaced.weights[:] = machine.weights
    replaced.run(PROGRAM)
    assert (replaced.accumulators[0] == (10 if accumulate else -(2**31) + 5)).all()


def test_the_exact_engine_is_exact_for_long_sums():
    rng = np.random.default_rng(1)
    vectors = rng.choice(np.int8([-128, 127]), (300, 3, 16))
    tiles = rng.choice(np.int8([-127, 127]), (300, 16, 5))
    expected = np.einsum("kpr,krc->pc", vectors.astype(np.int64), tiles.astype(np.int64))
    np.testing.assert_array_equal(ExactEngine().multiply(vectors, tiles), expected)


def record(npu, rng):
    """A random parameter record and what it holds: bias, multiplier, exponent per column."""
    bias = rng.integers(-(2**30), 2**30, npu.columns)
    multiplier = rng.integers(2**30, 2**31, npu.columns)
    exponent = rng.integers(-20, 3, npu.columns)
    planes = [(bias >> (8 * n)) & 255 for n in range(4)]
    planes += [exponent & 255]
    planes += [(multiplier >> (8 * n)) & 255 for n in range(4)]
    return np.array(planes, np.uint8), bias, multiplier, exponent


@pytest.mark.parametrize("mode", [RoundingMode.DOUBLE, RoundingMode.SINGLE])
@pytest.mark.parametrize(("rows", "columns", "vectors"), [(4, 10, 2), (6, 6, 1), (10, 4, 1)])
def test_drain(rows, columns, vectors, mode):
    npu = config(rows, columns, lanes=rows)
    output = PostOutput(column_step=3, row_step=20, mode=mode, zero_point=5, low=-100, high=90)
    for slice_ in range(npu.tile_slices):
        drain = Drain(accumulator=7, output=30, rows=3, columns=2, vectors=vectors, slice=slice_)
        machine = machine_with([LoadParameters(address=0, planes=9), output, drain, Halt()], npu)
        planes, bias, multiplier, exponent = record(npu, np.random.default_rng(3))
        machine.weights[: len(planes)] = planes
        sums = machine.accumulators[7:13].astype(np.int64) + bias
        scaled = requantize(sums, multiplier, exponent, mode).astype(np.int64) + 5
        values = np.clip(scaled, -100, 90)
        expected = machine.scratchpad.copy()
        for pixel in range(6):
            address = 30 + pixel // 2 * 20 + pixel % 2 * 3
            for v in range(vectors):
                for lane in range(rows):
                    if columns >= rows:
                        expected[address + v, lane] = values[pixel, v * rows + lane]
                    elif lane // columns == slice_:
                        expected[address, lane] = values[pixel, lane % columns]
        machine.run(PROGRAM)
        np.testing.assert_array_equal(machine.scratchpad, expected)


def drained(machine, bias, multiplier, exponent):
    """The first vector that DRAIN stores of accumulator 0."""
    sums = machine.accumulators[0].astype(np.int64) + bias
    scaled = requantize(sums, multiplier, exponent, RoundingMode.DOUBLE)
    return np.clip(scaled.astype(np.int64), -128, 127)[: machine.config.rows]


WIDE_OUTPUT = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=-128, high=127)


@pytest.mark.parametrize("planes", [4, 9, 12])
def test_a_uniform_drain_has_the_bias_of_its_record_and_the_scale_of_the_setting(planes):
    program = [
        WIDE_OUTPUT,
        PostScale(multiplier=3 << 29, exponent=-23, bias=10**6),
        LoadParameters(address=0, planes=planes),
        Drain(accumulator=0, output=0, rows=1, columns=1, vectors=1, uniform=1),
        Halt(),
    ]
    machine = machine_with(program)
    values, bias, _, _ = record(machine.config, np.random.default_rng(4))
    machine.weights[: len(values)] = values
    machine.run(PROGRAM)
    expected = drained(machine, bias, 3 << 29, -23)
    np.testing.assert_array_equal(machine.scratchpad[0], expected)
    assert len(set(expected.tolist())) > 2


def test_biases_alone_leave_the_scales_and_a_short_record_clears_what_it_lacks():
    program = [
        WIDE_OUTPUT,
        LoadParameters(address=0, planes=12),  # with bytes above the multipliers' fourth
        LoadParameters(address=0, planes=9),
        LoadParameters(address=100, planes=4),
        Drain(accumulator=0, output=0, rows=1, columns=1, vectors=1),
        Halt(),
    ]
    machine = machine_with(program)
    first, _, multiplier, exponent = record(machine.config, np.random.default_rng(5))
    second, bias, _, _ = record(machine.config, np.random.default_rng(6))
    machine.weights[:9], machine.weights[100:109] = first, second
    machine.run(PROGRAM)
    np.testing.assert_array_equal(
        machine.scratchpad[0], drained(machine, bias, multiplier, exponent)
    )


@pytest.mark.parametrize("reduction", list(Reduction))
def test_pool(reduction):
    counts, steps = (3, 2, 2, 1, 1), (2, 14, 1, 4, 28)
    y, x = (0, 1, 0, 0, 2), (1, 0, 0, 2, 0)
    loops = [
        PostLoop(level=n, count=counts[n], address_step=steps[n], y_step=y[n], x_step=x[n])
        for n in range(5)
    ]
    image = PostInput(height=5, width=6, padding=-128, reduction=reduction)
    scale = PostScale(multiplier=1 << 30, exponent=-1, bias=9)
    mode = RoundingMode.DOUBLE
    output = PostOutput(column_step=2, row_step=9, mode=mode, zero_point=1, low=-128, high=127)
    pool = Pool(address=50, y=-1, x=-1, output=300, rows=2, columns=3)
    machine = machine_with([*loops, image, scale, output, pool, Halt()])
    taps = visited(loops, (50, -1, -1), (3, 2, 2, 3, 2), machine, image)
    expected = machine.scratchpad.copy()
    for row, column, v in np.ndindex(2, 3, 2):
        window = [taps[row, column, v, ky, kx] for ky in range(2) for kx in range(3)]
        reduced = np.max(window, axis=0) if reduction else np.sum(window, axis=0)
        value = requantize(reduced + 9, 1 << 30, -1, mode).astype(np.int64) + 1
        expected[300 + row * 9 + column * 2 + v] = np.clip(value, -128, 127)
    machine.run(PROGRAM)
    np.testing.assert_array_equal(machine.scratchpad, expected)


@pytest.mark.parametrize("b_vectors", [0, 1, 7, 20, 30])
@pytest.mark.parametrize("kind", [Add, Mul])
def test_elementwise(kind, b_vectors):
    npu = config()
    mode = RoundingMode.SINGLE
    program = [
        LoadTable(address=100, table=0),
        LoadTable(address=300, table=1),
        PostScale(multiplier=3 << 29, exponent=-14),
        PostOutput(column_step=0, row_step=0, mode=mode, zero_point=-3, low=-120, high=127),
        kind(a=10, b=40, output=10, count=20, b_vectors=b_vectors),
        Halt(),
    ]
    machine = machine_with(program, npu)
    tables = []
    for address in (100, 300):
        raw = machine.weights[address : address + npu.table_vectors, : npu.columns // 4 * 4]
        tables.append(np.frombuffer(raw.tobytes(), "<i4")[:256].astype(np.int64) >> 6)
        entries = np.zeros(npu.table_vectors * (npu.columns // 4), "<i4")
        entries[:256] = tables[-1]
        raw[:] = entries.view(np.uint8).reshape(raw.shape)
    order = np.arange(20) % (b_vectors or 20)
    a, b = (machine.scratchpad[n].view(np.uint8) for n in (10 + np.arange(20), 40 + order))
    terms = [tables[0][a], tables[1][b]]
    if kind is Mul:
        total = np.prod([(term + 256) % 512 - 256 for term in terms], axis=0)
    else:
        total = np.sum(terms, axis=0)
    value = requantize(total, 3 << 29, -14, mode).astype(np.int64) - 3
    expected = machine.scratchpad.copy()
    expected[10:30] = np.clip(value, -120, 127)
    machine.run(PROGRAM)
    np.testing.assert_array_equal(machine.scratchpad, expected)


def test_steps_and_marks():
    npu = config()
    output = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=-1, high=1)
    program = [
        MatrixInput(height=1, width=1, padding=0, signal=Semaphore.STORED),
        output,
        LoadParameters(address=0, planes=9),
        Drain(accumulator=0, output=0, rows=1, columns=1, vectors=1, wait=4, mark=1),
        Halt(),
    ]
    machine = machine_with(program, npu)
    planes = record(npu, np.random.default_rng(0))[0]
    machine.weights[: len(planes)] = planes
    assert machine.halted
    machine.start(PROGRAM)
    assert [machine.step() for _ in program] == program
    assert machine.halted
    assert machine.marks == 1


SETUP = [MatrixInput(height=9, width=9, padding=0), *matrix_loops((1, 1, 1))]
MATMUL = Matmul(address=0, y=0, x=0, accumulator=0, rows=1, columns=1)
LOAD = LoadWeights(address=0, tiles=1)
OUTPUT = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=-1, high=1)
DRAIN = Drain(accumulator=0, output=0, rows=1, columns=1, vectors=1)
SCALE = PostScale(multiplier=1 << 30, exponent=1)
POOL = Pool(address=0, y=0, x=0, output=0, rows=1, columns=1)
POOL_SETUP = [
    *(PostLoop(level=n, count=1, address_step=1) for n in range(5)),
    PostInput(height=9, width=9, padding=0, reduction=0),
]
WINDOW = DepthwiseWindow(rows=3, columns=2, groups=1, stride_y=1, stride_x=2)
DEPTHWISE = Depthwise(
    address=0, y=0, x=0, accumulator=0, rows=2, columns=3, strip_rows=4, strip_columns=6
)
LOAD_DEPTHWISE = LoadDepthwise(address=200, vectors=9)
STRIP_SETUP = [*SETUP[:3], WINDOW]
TABLES = [LoadTable(address=0, table=0), LoadTable(address=0, table=1)]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ([replace(LOAD, wait=4)], r"LOAD_WEIGHTS .*wait=STORED.* waits for STORED, which nothing"),
        ([LOAD, Halt()], "nothing must be left over, not 1 unused weight tiles"),
        ([replace(OUTPUT, signal=2), Halt()], "nothing must be left over, not DRAINED at 1"),
        ([replace(OUTPUT, signal=4)] * 256, "STORED must be raised to 255 at most"),
        ([replace(LOAD, tiles=0)], "tiles must be at least 1"),
        ([replace(LOAD, tiles=60000)], "end at weight vector 6553 at the latest"),
        ([MATMUL], "loop level 2 must be set"),
        ([*SETUP[1:], LOAD, MATMUL], "the input image must be set"),
        ([*SETUP, MATMUL], "1 weight tiles must be loaded before this instruction, not 0"),
        ([*SETUP, LOAD, replace(MATMUL, address=9999)], "scratchpad address must be below 682"),
        ([*SETUP, LOAD, replace(MATMUL, address=-1)], "scratchpad address must be below 682"),
        ([*SETUP, LOAD, replace(MATMUL, accumulator=64)], "end at accumulator 64 at the latest"),
        ([*SETUP, LOAD, replace(MATMUL, accumulate=1)], "must have been left in the same"),
        (
            [*SETUP, LOAD, LOAD, MATMUL, replace(MATMUL, accumulator=1, accumulate=1)],
            "must have been left in the same accumulators",
        ),
        ([LOAD_DEPTHWISE, Halt()], "not 1 unused sets of depthwise weights"),
        ([replace(LOAD_DEPTHWISE, vectors=0)], "vectors must be 1 to 96, not 0"),
        ([replace(LOAD_DEPTHWISE, vectors=97)], "vectors must be 1 to 96, not 97"),
        (
            [replace(LOAD_DEPTHWISE, address=6550)],
            "end at weight vector 6553 at the latest, not 6559",
        ),
        ([replace(WINDOW, rows=0)], "kernel rows must be 1 to 16, not 0"),
        ([replace(WINDOW, columns=9)], "kernel columns must be 1 to 8, not 9"),
        ([replace(WINDOW, columns=4)], "groups must be 2 for 4 kernel columns and 3 taps, not 1"),
        (
            [replace(WINDOW, rows=16, columns=8, groups=3)],
            "kernel rows x groups must be 1 to 32, not 48",
        ),
        ([replace(WINDOW, stride_y=0)], "stride_y must be 1 to 15, not 0"),
        ([replace(WINDOW, stride_x=0)], "stride_x must be 1 to 15, not 0"),
        ([replace(WINDOW, multiplier=0)], "multiplier must be 1 to 127, not 0"),
        ([replace(WINDOW, phase=1)], "phase must be 0 to 0, not 1"),
        ([*SETUP, DEPTHWISE], "the depthwise window must be set before this instruction"),
        ([*STRIP_SETUP[1:], DEPTHWISE], "the input image must be set"),
        ([STRIP_SETUP[0], *STRIP_SETUP[2:], DEPTHWISE], "loop level 0 must be set"),
        ([*STRIP_SETUP, replace(DEPTHWISE, accumulator=60)], "end at accumulator 64"),
        (
            [*STRIP_SETUP, replace(DEPTHWISE, strip_rows=5)],
            "the strip must have 4 rows and 6 columns for this chunk, not 5 and 6",
        ),
        (
            [*STRIP_SETUP, replace(DEPTHWISE, rows=20, columns=1, strip_rows=22, strip_columns=2)],
            "strip rows must be 1 to 16, not 22",
        ),
        ([*STRIP_SETUP, DEPTHWISE], "depthwise weights must be loaded before this instruction"),
        (
            [*STRIP_SETUP, replace(LOAD_DEPTHWISE, vectors=3), DEPTHWISE],
            "its weights must be 9 vectors, not the 3 that were loaded",
        ),
        (
            [*STRIP_SETUP, LOAD_DEPTHWISE, DEPTHWISE],
            "weights of kernel columns that the window doesn't have must be 0",
        ),
        ([replace(SETUP[1], count=0)], "count of loop level 0 must be at least 1"),
        ([replace(SETUP[1], level=5)], "loop level must be 0 to 4, not 5"),
        ([replace(OUTPUT, mode=6)], r"mode must be one .*DOUBLE \(0\).* not 6"),
        ([DRAIN], "parameters must be loaded"),
        ([LoadParameters(address=0, planes=5)], "planes must be one of 4, 9, 12, not 5"),
        ([LoadParameters(address=0, planes=4), DRAIN], "parameters must be loaded"),
        ([LoadParameters(address=0, planes=4), replace(DRAIN, uniform=1)], "scale must be set"),
        ([replace(DRAIN, uniform=1)], "parameters must be loaded"),
        (
            [LoadParameters(address=6550, planes=12)],
            "weight address must be at most 6541, not 6550",
        ),
        ([LoadParameters(address=0, planes=9), DRAIN], "the output must be set"),
        ([LoadParameters(address=0, planes=9), replace(DRAIN, rows=80)], "end at accumulator 64"),
        (
            [LoadParameters(address=0, planes=9), replace(DRAIN, vectors=2)],
            "vectors must be 1 to 1, not 2",
        ),
        (
            [LoadParameters(address=0, planes=9), replace(DRAIN, slice=1)],
            "slice must be 0 to 0, not 1",
        ),
        (
            [LoadParameters(address=0, planes=9), OUTPUT, DRAIN],
            "multipliers must have at most 31 bits",
        ),
        ([replace(OUTPUT, mode=3), LoadParameters(address=0, planes=9), DRAIN], "at most 24 bits"),
        ([replace(OUTPUT, mode=4), LoadParameters(address=0, planes=12), DRAIN], "at most 53 bits"),
        ([Add(a=0, b=0, output=0, count=1)], "both tables must be loaded"),
        ([*TABLES, Add(a=0, b=0, output=0, count=0)], "count must be at least 1"),
        ([*TABLES, Add(a=0, b=0, output=0, count=1)], "the scale must be set"),
        ([*TABLES, OUTPUT, SCALE, Add(a=681, b=0, output=0, count=2)], "not 682"),
        ([*POOL_SETUP, POOL], "the scale must be set"),
        ([*POOL_SETUP, replace(POOL, rows=0)], "rows and columns must be at least 1"),
        (
            [*POOL_SETUP, OUTPUT, replace(SCALE, exponent=40), POOL],
            "exponents must be -31 to 30",
        ),
        (
            [*POOL_SETUP, replace(POOL_SETUP[1], count=65535), replace(POOL, rows=4095)],
            "must visit at most 67108864 vectors",
        ),
    ],
)
def test_programs_that_cannot_be_executed(program, message):
    machine = machine_with(program)
    machine.weights[:20] = 255
    with pytest.raises(CelosiaError, match=message) as refused:
        machine.run(PROGRAM)
    assert str(refused.value).startswith("instruction at weight vector ")


def test_depthwise_instructions_need_an_engine():
    machine = machine_with([WINDOW], replace(config(), depthwise_taps=0))
    with pytest.raises(CelosiaError, match=r"'machine' must have a depthwise engine \("):
        machine.run(PROGRAM)


@pytest.mark.parametrize("kind", VECTOR_INSTRUCTIONS)
def test_vector_instructions_need_vector_operations(kind):
    machine = machine_with([decode(kind.opcode)], replace(config(), vector_operations=False))
    with pytest.raises(CelosiaError, match=r"'machine' must have vector operations \("):
        machine.run(PROGRAM)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (replace(SETUP[1], count=256), "count of loop level 0 must be below 256, not 256"),
        (replace(SETUP[0], width=300), "height and width of the image must be below 256, not 300"),
    ],
)
def test_settings_beyond_the_coordinates(setting, message):
    machine = machine_with([setting], replace(config(), coordinate_bits=8))
    with pytest.raises(CelosiaError, match=message):
        machine.run(PROGRAM)


def test_coordinates_wrap_around():
    inside = replace(MATMUL, y=256 + 3, x=-256 + 4)
    for bits, value in ((8, 5), (16, 0)):
        machine = machine_with(
            [*SETUP, LOAD, inside, Halt()], replace(config(), coordinate_bits=bits)
        )
        machine.scratchpad[:] = 5
        machine.weights[: machine.config.rows] = 1
        machine.run(PROGRAM)
        assert (machine.accumulators[0] == value * machine.config.rows).all()


def test_words_that_are_no_instruction():
    machine = machine_with([])
    machine.weights[PROGRAM] = 0xEE
    with pytest.raises(CelosiaError, match=r"vector 2000: opcode must be .* not 0xee"):
        machine.run(PROGRAM)


def test_a_program_without_end():
    machine = Machine(PRESETS["npu4x4"])
    word = OUTPUT.encode().to_bytes(INSTRUCTION_BYTES, "little")
    machine.weights[-4:] = np.frombuffer(word, np.uint8).reshape(4, 4)
    with pytest.raises(CelosiaError, match="must end in HALT inside the weight memory"):
        machine.run(machine.config.weight_depth - 4)
