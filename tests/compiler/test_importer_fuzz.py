"""Damaged and foreign files: one clear sentence each, never another exception, never a wait."""

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import tflite
from support.damage import FOREIGN, mutated, truncated
from support.tflite_writer import ModelBuilder, schema, serialise

from celosia.compiler.importer import load_tflite
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter

SEEDS = 400  # for the small built model
FEWER_SEEDS = 100  # for each of the large ones, which take longer where they still run
# Far above what any of these files takes, far below what a reader that was led astray takes.
LIMIT_S = 5.0


def many_operators():
    """A model with every table that the importer reads."""
    model = ModelBuilder(3)
    x = model.input((1, 8, 8, 3))
    y = model.conv(x, 4, activation="RELU")
    y = model.add(y, model.depthwise(y))
    y = model.pool(y, "MAX")
    y = model.pad(model.concatenation([y, y]), ((0, 0), (1, 0), (0, 1), (0, 0)))
    y = model.mul(y, model.unary("LOGISTIC", y))
    y = model.pool(model.unary("HARD_SWISH", y, float(model.scale(y))), "AVERAGE")
    y = model.mean(y, keep_dims=True)
    y = model.fully_connected(model.reshape(y, (1, 8)), 5)
    return model.finish(model.dequantize(model.softmax(y)))


def models():
    """The built model, and the MLPerf Tiny ones where they are at hand."""
    found = {"built": many_operators()}
    if "CELOSIA_MODELS" in os.environ:
        for path in sorted(Path(os.environ["CELOSIA_MODELS"]).glob("*.tflite")):
            found[path.stem] = path.read_bytes()
    return found


MODELS = models()


def outcome(data):
    """ "refused" or "runs"; anything else than a one-line CelosiaError raises."""
    start = time.monotonic()
    try:
        graph = load_tflite(data)
    except CelosiaError as error:
        message = str(error)
        assert message.isprintable()
        assert 20 < len(message) < 1000
        result = "refused"
    else:
        tensors = [graph.tensors[index] for index in graph.inputs]
        Interpreter(graph).run([np.zeros(tensor.shape, tensor.dtype) for tensor in tensors])
        result = "runs"
    assert time.monotonic() - start < LIMIT_S
    return result


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(name):
    assert outcome(FOREIGN[name]) == "refused"


@pytest.mark.parametrize("name", MODELS)
def test_truncated_files_are_refused(name):
    data = MODELS[name]
    for seed in range(FEWER_SEEDS):
        cut = truncated(data, np.random.default_rng(seed))
        assert outcome(cut) == "refused", f"{name}, seed {seed}, {len(cut)} of {len(data)} bytes"


def with_string_at_the_end(data, table, slot, text):
    """The file with the string at `slot` of a table's vtable replaced by one appended to it."""
    field = table.Pos + table.Offset(slot)
    moved = bytearray(data) + bytes(-len(data) % 4)
    moved[field : field + 4] = struct.pack("<I", len(moved) - field)
    return bytes(moved) + struct.pack("<I", len(text)) + text


@pytest.mark.parametrize("part", ["description", "metadata"])
def test_a_file_cut_in_its_last_string_is_refused(part):
    """Even where the importer has no use for the string: Python would just shorten it."""
    model = ModelBuilder(3)
    file = model.model(model.fully_connected(model.input((1, 4)), 3))
    metadata = schema.MetadataT()
    metadata.name = b"a name"
    file.metadata = [metadata]
    data = serialise(file)
    root = tflite.Model.GetRootAs(data, 0)
    table, slot = (root._tab, 10) if part == "description" else (root.Metadata(0)._tab, 4)
    data = with_string_at_the_end(data, table, slot, b"the last string")
    assert outcome(data) == "runs"
    assert outcome(data[:-1]) == "refused"


def test_a_file_cut_at_any_byte_is_refused():
    model = ModelBuilder(3)
    data = model.finish(model.fully_connected(model.input((1, 4)), 3))
    for size in range(len(data) - 4):  # the last bytes may be padding, which nobody misses
        assert outcome(data[:size]) == "refused", f"{size} of {len(data)} bytes"


@pytest.mark.parametrize("name", MODELS)
def test_mutated_files_are_refused_or_run(name):
    data = MODELS[name]
    outcomes = []
    count = SEEDS if name == "built" else FEWER_SEEDS
    for seed in range(count):
        print(f"{name}, seed {seed}")  # shown where the reader fails
        outcomes.append(outcome(mutated(data, np.random.default_rng(seed))))
    assert outcomes.count("refused") > count // 3
    assert outcome(data) == "runs"
