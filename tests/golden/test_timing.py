"""The cycle model: what it counts, and what it refuses. `tests/cosim` holds it to the RTL."""

from dataclasses import replace

import pytest
from support.cycles import assert_counters_modelled, assert_layers_modelled
from support.random_networks import random_network

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.golden.config import PRESETS
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.isa import (
    INSTRUCTIONS,
    Depthwise,
    DepthwiseWindow,
    Drain,
    Halt,
    LoadDepthwise,
    LoadParameters,
    LoadWeights,
    Matmul,
    MatrixLoop,
    PostLoop,
    PostOutput,
    Semaphore,
    mnemonic,
)
from celosia.golden.memory_map import Counter
from celosia.golden.timing import load, model_cycles, post
from celosia.golden.timing.records import Records
from celosia.runtime.golden_device import GoldenDevice
from celosia.runtime.models import embedded_data
from celosia.runtime.run import run_program
from celosia.runtime.session import random_samples

CONFIG = PRESETS["npu8x8"]
LOOPS = [MatrixLoop(level=level, count=1, address_step=0) for level in range(5)]
MARK = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=0, high=0, mark=1)
SETTING = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=-128, high=127)


def matmul(**fields):
    return Matmul(address=0, y=0, x=0, accumulator=0, rows=1, columns=10, **fields)


def test_a_program_of_one_halt():
    # Two reads and their latency, the dispatch, and one look at units that are idle.
    profile = model_cycles(CONFIG, [Halt()])
    assert profile.counters[Counter.CYCLES] == 2 + 2 + 1 + 1
    assert profile.counters[Counter.MATRIX_IDLE] == 6
    assert profile.marks == ()


def test_a_pass_of_few_vectors_takes_as_long_as_its_tile():
    def cycles(tiles):
        levels = [*LOOPS[:2], replace(LOOPS[2], count=tiles), *LOOPS[3:]]
        program = [LoadWeights(address=0, tiles=tiles), *levels, matmul(), Halt()]
        return model_cycles(CONFIG, program).counters

    few, many = cycles(20), cycles(50)
    assert many[Counter.CYCLES] - few[Counter.CYCLES] == 30 * 10
    assert many[Counter.MATRIX_BUSY] == 50 * 10
    levels = [*LOOPS[:2], replace(LOOPS[2], count=50), *LOOPS[3:]]
    single = [LoadWeights(address=0, tiles=50), *levels, replace(matmul(), columns=1), Halt()]
    counters = model_cycles(CONFIG, single).counters
    assert counters[Counter.MATRIX_BUSY] == 50
    assert 49 * (8 - 1) <= counters[Counter.MATRIX_WEIGHTS] < 50 * 8
    assert counters[Counter.LOAD_BUSY] == 50 * 8


def test_counters_add_up_at_every_mark():
    program = compile_model(embedded_data("digits_int8.tflite"), CONFIG)
    profile = program.modelled
    assert len(profile.marks) == len(program.layers)
    for counters in (*profile.marks, profile.counters):
        array = [n for counter, n in counters.items() if counter.name.startswith("MATRIX_")]
        assert sum(array) == counters[Counter.CYCLES]
        assert min(array) >= 0
    layers = list(profile.layers(len(program.layers)))
    for counter in Counter:
        assert sum(spent[counter] for spent in layers) == profile.counters[counter]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ([*LOOPS, matmul()], "a unit must not wait for what never comes"),
        ([replace(SETTING, wait=Semaphore.STORED)], "a unit must not wait for what never comes"),
        ([LoadWeights(address=0, tiles=3)], "a unit must not wait for what never comes"),
        ([LoadWeights(address=0, tiles=1), matmul()], "loop level 2 must be set"),
        ([replace(LOOPS[0], level=6)], "loop level must be 0 to 4, not 6"),
        ([replace(LOOPS[0], count=0)], "count of loop level 0 must be at least 1, not 0"),
    ],
)
def test_a_program_that_cannot_run(program, message):
    with pytest.raises(CelosiaError, match=message):
        model_cycles(CONFIG, [*program, Halt()])


def test_a_layer_without_a_mark():
    program = compile_model(embedded_data("digits_int8.tflite"), CONFIG)
    with pytest.raises(CelosiaError, match=r"must mark the ends of its 8 layers, not 9$"):
        _ = replace(program, layers=program.layers[:-1]).modelled


def test_extremes_of_fields_do_no_harm():
    most = {name: Drain.limits(name)[1] for name in ("rows", "columns", "vectors")}
    program = [
        LoadParameters(address=0, planes=0),
        Drain(accumulator=0, output=0, **most, mark=1),
        Drain(accumulator=0, output=0, rows=0, columns=0, vectors=0),
        Halt(),
    ]
    assert model_cycles(CONFIG, program).counters[Counter.POST_BUSY] > 4095 * 4095 * 63


def test_spans_that_meet_count_once():
    records = Records()
    for span in ((5, 10), (8, 12), (12, 13), (20, 20), (21, 23)):
        records.spend(Counter.POST_BUSY, *span)
    records.mark(9)
    records.mark(22)
    profile = records.profile(30)
    assert [mark[Counter.POST_BUSY] for mark in profile.marks] == [4, 9]
    assert profile.counters[Counter.POST_BUSY] == 10


def test_without_queues_an_instruction_waits_for_those_before_it():
    work = replace(matmul(), rows=8)
    program = [*LOOPS, LoadWeights(address=0, tiles=3), work, work, work, MARK, Halt()]

    def marked(depth):
        """When POST takes what is behind the third MATMUL, which is taken as the second ends."""
        (mark,) = model_cycles(replace(CONFIG, queue_depth=depth), program).marks
        return mark[Counter.CYCLES]

    assert marked(8) < 80 < 2 * 80 < marked(0)


@pytest.mark.parametrize("seed", range(10))
def test_no_program_waits_for_itself_without_queues(seed):
    config = replace(PRESETS["npu4x4"], queue_depth=0, accumulator_depth=24)
    try:
        program = compile_model(random_network(seed), config)
    except DoesNotFit:
        return
    assert program.modelled.counters[Counter.CYCLES]


def test_the_comparisons_with_rtl_can_fail(monkeypatch):
    program = compile_model(embedded_data("digits_int8.tflite"), CONFIG)
    samples = random_samples(list(program.signature_inputs.values()), 1, 1)
    report = run_program(program, GoldenDevice(program), "golden", samples).report
    counters = program.modelled.counters
    assert_layers_modelled(program, report)
    assert_counters_modelled(program, counters)
    monkeypatch.setattr(load, "LAST_CYCLES", 64)
    slower = replace(program)
    assert slower.modelled.counters[Counter.CYCLES] != counters[Counter.CYCLES]
    with pytest.raises(AssertionError, match=r"CONV_2D '\w+': \d+ modelled, \d+ in RTL"):
        assert_layers_modelled(slower, report)
    with pytest.raises(AssertionError, match=r"CYCLES: \d+ modelled, \d+ in RTL"):
        assert_counters_modelled(slower, counters)


@pytest.mark.parametrize("kind", INSTRUCTIONS, ids=mnemonic)
def test_every_instruction_has_its_time(kind):
    ones = {field.name: 1 for field in kind.layout() if field.name != "opcode"}
    instruction = kind(**{**ones, "wait": 0, "signal": 0})
    before = [
        *LOOPS,
        *(PostLoop(level=level, count=1, address_step=0) for level in range(5)),
        DepthwiseWindow(rows=1, columns=1, groups=1, stride_y=1, stride_x=1),
        LoadWeights(address=0, tiles=1),
        LoadDepthwise(address=0, vectors=3),
    ]
    after = [
        Depthwise(
            address=0, y=0, x=0, accumulator=0, rows=1, columns=1, strip_rows=1, strip_columns=1
        ),
        matmul(),
    ]
    if kind in (Matmul, Depthwise):
        after = [other for other in after if type(other) is not kind]
    if kind in (LoadWeights, LoadDepthwise):
        after += [other for other in after if type(other) is _USERS[kind]]
    program = [*before, *([] if kind is Halt else [instruction]), *after, Halt()]
    config = replace(CONFIG, crossbar=CrossbarConfig(rows=64, outputs=CONFIG.columns))
    assert model_cycles(config, program).counters[Counter.CYCLES] > len(program)


_USERS = {LoadWeights: Matmul, LoadDepthwise: Depthwise}


def test_an_instruction_that_nobody_timed(monkeypatch):
    monkeypatch.setattr(post, "SETTINGS", ())
    with pytest.raises(AssertionError, match=r"POST_OUTPUT .* has no timing"):
        model_cycles(CONFIG, [SETTING, Halt()])


def test_every_instruction_of_a_listing_is_known():
    program = compile_model(embedded_data("digits_int8.tflite"), CONFIG)
    listing = [item for _, item in disassemble(CONFIG, program.image, program.start)]
    assert model_cycles(CONFIG, iter(listing)) == program.modelled
