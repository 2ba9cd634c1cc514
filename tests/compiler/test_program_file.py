"""Program files: what is written is read back, and nothing else is accepted."""

import contextlib
import hashlib
import json
import struct
from dataclasses import fields, replace

import numpy as np
import pytest
from support.layerwise import random_inputs
from support.random_networks import random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.program import Program
from celosia.compiler.program_file import (
    decode_program,
    encode_program,
    load_program,
    save_program,
)
from celosia.compiler.program_file.container import FORMAT_VERSION
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError

PREFIX = struct.Struct("<8sIII")
CONFIG = PRESETS["npu4x4"]


def model_with_host_operators(more_images=1):
    model = ModelBuilder(5)
    x = model.input((1, 9, 7, 3), dtype="float32")
    quantized = model.operator("QUANTIZE", (x,), model.activation_tensor((1, 9, 7, 3), 0.02, 3))
    padded = model.pad(quantized, ((0, more_images), (1, 1), (0, 2), (0, 0)))
    a = model.conv(padded, 6, activation="RELU")
    b = model.add(a, model.conv(a, 6))
    pooled = model.pool(b, "AVERAGE", (3, 2), padding="SAME")
    units = model.fully_connected(pooled, 5)
    return model.finish(model.dequantize(model.softmax(units)), b)


@pytest.fixture(scope="module")
def program():
    return compile_model(model_with_host_operators(), CONFIG)


@pytest.fixture(scope="module")
def pair():
    """A program that makes two inferences in a run."""
    return compile_model(model_with_host_operators(more_images=0), CONFIG, batch=2)


@pytest.fixture(scope="module")
def data(program):
    return encode_program(program)


def with_checksum(header, image, version=FORMAT_VERSION):
    body = PREFIX.pack(b"CELOSIA\n", version, len(header), len(image)) + header + image
    return body + hashlib.sha256(body).digest()


def parts(data):
    _, _, header_bytes, image_bytes = PREFIX.unpack_from(data)
    header = data[PREFIX.size : PREFIX.size + header_bytes]
    return header, data[PREFIX.size + header_bytes :][:image_bytes]


def test_round_trip(program, tmp_path):
    path = tmp_path / "network.cel"
    save_program(program, path)
    loaded = load_program(path)
    assert [p.name for p in tmp_path.iterdir()] == ["network.cel"]
    for item in fields(Program):
        if item.name in (
            "name",
            "config",
            "profile",
            "batch",
            "image",
            "starts",
            "layers",
            "tensors",
        ):
            assert getattr(loaded, item.name) == getattr(program, item.name)
    assert encode_program(loaded) == path.read_bytes()
    rng = np.random.default_rng(2)
    inputs = [rng.normal(0, 1, (1, 9, 7, 3)).astype(np.float32)]
    for before, after in zip(
        run_on_machine(program, inputs), run_on_machine(loaded, inputs), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_both_entries_are_kept():
    program = compile_model(model_with_host_operators(), CONFIG, overlap=True)
    loaded = decode_program(encode_program(program))
    assert loaded.overlapping
    assert loaded.starts == program.starts
    assert [p.addresses for p in loaded.outputs] == [p.addresses for p in program.outputs]
    broken = replace(program, starts=(program.start, program.starts[1] + 1))
    with pytest.raises(CelosiaError, match=r"instruction at weight vector|layers must match"):
        decode_program(encode_program(broken))


def test_a_batch_is_kept(pair):
    loaded = decode_program(encode_program(pair))
    assert loaded.batch == 2
    assert [tensor.shape for tensor in loaded.sample_inputs] == [(1, 9, 7, 3)]
    inputs = [np.random.default_rng(3).normal(0, 1, (2, 9, 7, 3)).astype(np.float32)]
    for before, after in zip(
        run_on_machine(pair, inputs), run_on_machine(loaded, inputs), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_the_same_model_gives_the_same_bytes(data):
    assert encode_program(compile_model(model_with_host_operators(), CONFIG)) == data


@pytest.mark.parametrize("seed", range(20))
def test_round_trip_of_random_networks(seed):
    program = compile_model(random_network(seed), PRESETS["npu8x8"])
    loaded = decode_program(encode_program(program))
    inputs = random_inputs(program, seed)
    for before, after in zip(
        run_on_machine(program, inputs), run_on_machine(loaded, inputs), strict=True
    ):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "must be a Celosia program"),
        (lambda data: b"TFL3" + data, "must be a Celosia program"),
        (lambda data: data[:12], "damaged: it ends early"),
        (lambda data: data[:-1], r"damaged: it has \d+ bytes and should have \d+"),
        (lambda data: data + b"\0", r"damaged: it has \d+ bytes and should have \d+"),
        (lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "checksum is wrong"),
        (lambda data: with_checksum(*parts(data), version=1), r"version must be \d+, not 1;"),
        (lambda data: with_checksum(b"{", parts(data)[1]), "header isn't JSON"),
        (lambda data: with_checksum(b"[" * 100_000, parts(data)[1]), "header isn't JSON"),
        (lambda data: with_checksum(b"[]", b""), "an object with the key 'config'"),
        (lambda data: with_checksum(parts(data)[0], b""), "must end in HALT inside its image"),
        (lambda data: with_checksum(parts(data)[0], b"123"), "image must be whole vectors"),
    ],
)
def test_what_is_not_a_program_is_refused(data, change, message):
    with pytest.raises(CelosiaError, match=message):
        decode_program(change(data))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("profile",), "single", "profile must be one of its configuration's"),
        (("profile",), ["tflm"], "profile must be one of tflm, litert, single, float32"),
        (("config", "rows"), 3, "rows must be an integer from 4 to 64"),
        (("config", "base"), [], "config must be an object with the keys"),
        (("batch",), 0, "batch must be an integer from 1"),
        (("batch",), 2, r"must hold 2 inferences along its first dimension, not have shape \(1, 9"),
        (("starts",), [-1], r"starts\[0\] must be an integer from 0"),
        (("starts",), [], "starts must be a list of one or two elements"),
        (("starts",), [0, 0, 0], "starts must be a list of one or two elements"),
        (("inputs", 0, "addresses"), [10**6], r"addresses\[0\] must be an integer from 0"),
        (("inputs", 0, "addresses"), [0, 0], "addresses must be a list of 1 elements"),
        (("inputs", 0, "layout", "kind"), "rows", "must be pixels or packed"),
        (("outputs", 0, "layout", "pixels"), 7, "layout of 1188 elements"),
        (("inputs", 0, "tensor", "dtype"), "complex64", "dtype must be one of int8"),
        (("inputs", 0, "tensor", "dtype"), "int16", "must be made before it is used"),
        (("inputs", 0, "tensor", "shape"), [1] * 9, "at most 8 extents"),
        (("outputs", 0, "tensor", "quantization", "scale"), [0.0], "positive float32 values"),
        (("signature_outputs", 0, "value"), 999, "must be made before it is used"),
        (("prologue", "operators", 0, "kind"), "CONV", "kind must be one of CONV_2D"),
        (("prologue", "operators", 0, "kind"), "CONV_2D", "must hold operators that can run"),
        (("prologue", "operators", 1, "attributes"), {"extent": 1}, "attributes out of stride"),
        (("prologue", "operators", 1, "attributes"), 3, "attributes must be an object"),
        (("prologue", "operators", 1, "attributes", "pads"), [[0, 9999]] * 4, "fit together"),
        (("prologue", "operators", 1, "inputs"), [0, 77], "integer from -1"),
        (("epilogue", "operators", 0, "attributes", "beta"), "1", "must be a finite number"),
        (("epilogue", "operators", 0, "name"), 1, "name must be a string"),
        (("layers", 0, "end"), 10**6, "layers must match its"),
        (("tensors", 0, "shape"), "x", "shape must be a list of at most"),
    ],
)
def test_headers_that_do_not_fit_are_refused(data, path, value, message):
    raw, image = parts(data)
    header = json.loads(raw)
    *way, last = path
    place = header
    for key in way:
        place = place[key]
    place[last] = value
    with pytest.raises(CelosiaError, match=message):
        decode_program(with_checksum(json.dumps(header).encode(), image))


def test_files_that_cannot_be_read_or_written(program, tmp_path):
    with pytest.raises(CelosiaError, match=r"can't read program .*No such file"):
        load_program(tmp_path / "none.cel")
    (tmp_path / "text.cel").write_text("hello")
    with pytest.raises(
        CelosiaError, match=r"can't use program .*text.cel': file must be a Celosia"
    ):
        load_program(tmp_path / "text.cel")
    with pytest.raises(CelosiaError, match="can't write"):
        save_program(program, tmp_path / "nowhere" / "network.cel")


def mutate(rng, data):
    """Damage as disks, transfers and people do it."""
    kind = rng.integers(4)
    position = int(rng.integers(len(data)))
    if kind == 0:
        return data[:position]
    if kind == 1:
        return (
            data[:position]
            + bytes([data[position] ^ (1 << rng.integers(8))])
            + data[position + 1 :]
        )
    if kind == 2:
        length = int(rng.integers(1, 40))
        return data[:position] + rng.bytes(length) + data[position + length :]
    return data[:position] + rng.bytes(int(rng.integers(1, 9))) + data[position:]


@pytest.mark.parametrize("first", range(0, 300, 60))
def test_damaged_files_are_refused(data, first):
    for seed in range(first, first + 60):
        print(f"seed {seed}")
        damaged = mutate(np.random.default_rng(seed), data)
        if damaged == data:
            continue
        with pytest.raises(CelosiaError):
            decode_program(damaged)


@pytest.mark.parametrize("first", range(0, 400, 80))
def test_forged_files_are_refused_or_whole(data, first):
    header, image = parts(data)
    for seed in range(first, first + 80):
        print(f"seed {seed}")
        rng = np.random.default_rng(seed)
        forged = with_checksum(mutate(rng, header), image)
        if seed % 4 == 0:
            forged = with_checksum(header, mutate(rng, image))
        if seed % 4 == 1:
            forged = with_checksum(forge_value(rng, header), image)
        try:
            program = decode_program(forged)
        except CelosiaError:
            continue
        assert decode_program(encode_program(program)).image == program.image
        run_if_it_can(program, seed)


def run_if_it_can(program, seed):
    rng = np.random.default_rng(seed)
    inputs = [
        rng.normal(0, 1, tensor.shape).astype(tensor.dtype)
        for tensor in program.signature_inputs.values()
    ]
    with contextlib.suppress(CelosiaError):
        run_on_machine(program, inputs)


def forge_value(rng, header):
    """Replace one value of the header by one of another kind or size."""
    document = json.loads(header)
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[rng.integers(len(keys))]
        if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.9:
            place = place[key]
            continue
        others = (0, -1, 1, 7, 1 << 40, 0.5, "x", None, True, [], {}, [1, 2], "int8", "RELU")
        place[key] = others[rng.integers(len(others))]
        return json.dumps(document).encode()
