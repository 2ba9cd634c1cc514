"""Tensors share the scratchpad over time, never while both are needed."""

from dataclasses import replace

import pytest
from support.random_networks import random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import ELEMENTWISE_KINDS, OpKind

CONFIG = PRESETS["npu8x8"]


def overlapping(program):
    """Pairs of tensors that share vectors at the same time, by (older, newer)."""
    places = [place for place in program.tensors if place.within == place.value]
    return [
        (a, b)
        for index, a in enumerate(places)
        for b in places[index + 1 :]
        if a.first <= b.last
        and b.first <= a.last
        and a.address < b.address + b.vectors
        and b.address < a.address + a.vectors
    ]


@pytest.mark.parametrize("seed", range(60))
def test_nothing_overlaps_but_elementwise_layers_in_place(seed):
    program = compile_model(random_network(seed), CONFIG)
    for older, newer in overlapping(program):
        # They may write over an operand that they read for the last time, vector by vector.
        assert OpKind(program.layers[newer.first].op) in ELEMENTWISE_KINDS
        assert (older.address, older.vectors) == (newer.address, newer.vectors)
        assert older.last == newer.first


def test_memory_is_used_again():
    model = ModelBuilder(1)
    x = model.input((1, 16, 16, 8))
    for _ in range(8):
        x = model.conv(x, 8)
    program = compile_model(model.finish(x), CONFIG)
    assert max(place.address + place.vectors for place in program.tensors) == 2 * 256


def test_sums_are_made_in_place():
    model = ModelBuilder(1)
    x = model.input((1, 16, 16, 8))
    a, b = model.conv(x, 8), model.conv(x, 8)
    program = compile_model(model.finish(model.add(a, b)), CONFIG)
    assert max(place.address + place.vectors for place in program.tensors) == 3 * 256


def test_operands_that_are_needed_later_stay():
    model = ModelBuilder(1)
    x = model.input((1, 16, 16, 8))
    a, b = model.conv(x, 8), model.conv(x, 8)
    program = compile_model(model.finish(model.add(a, b), a, b), CONFIG)
    assert not overlapping(program)


def test_a_model_that_is_too_large_is_told_how_much_and_where():
    model = ModelBuilder(1)
    x = model.input((1, 32, 32, 8))
    y = model.pool(model.conv(model.conv(x, 8), 64), "MAX", (8, 8))
    model.tensors[y].name = b"end"
    wide = [t for t in model.tensors if list(t.shape) == [1, 32, 32, 64]]
    wide[0].name = b"wide"
    small = replace(CONFIG, name="small", scratchpad_kib=65)
    # 8 + 64 channels of 32 x 32 pixels are 73,728 bytes. When the last 4 rows are computed, 28 rows
    # of the wide image are stored, and of the narrow one nothing above row 27 is read: 27 rows of
    # 32 pixels and 8 bytes may lie under the 32 rows of the wide one.
    with pytest.raises(
        CelosiaError,
        match=r"need 66816 bytes of scratchpad, 256 more than the 66560 of configuration 'small': "
        r"most are in use at layer 'wide' \(CONV_2D\), 66816 bytes in 2 tensors; "
        r"scratchpad_kib must be at least 66",
    ):
        compile_model(model.finish(y), small)
    compile_model(model.finish(y), replace(small, scratchpad_kib=66))


def test_weights_that_are_too_many_are_told_by_layer():
    model = ModelBuilder(1)
    x = model.input((1, 512))
    y = model.fully_connected(model.fully_connected(x, 64), 16)
    model.tensors[-1].name = b"end"
    with pytest.raises(
        CelosiaError,
        match=r"need 34896 bytes of weight memory, 2128 more than the 32768 of configuration "
        r"'npu8x8'; the largest are 't\d+' \(33024 bytes\), 'end' \(1088 bytes\), "
        r"the instructions \(\d+ bytes\); weight_kib must be at least 35",
    ):
        compile_model(model.finish(y), replace(CONFIG, weight_kib=32))
    compile_model(model.finish(y), replace(CONFIG, weight_kib=35))
