"""Program files of networks in pieces: what is written is read back, and nothing else accepted."""

import hashlib
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from support.damage import mutated, truncated
from support.tflite_writer import ModelBuilder

from celosia.compiler.program_file import decode_program, encode_program
from celosia.compiler.program_file.container import FORMAT_VERSION
from celosia.compiler.streaming import StreamedProgram, compile_network
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.runtime.streaming import StreamedDevice

PREFIX = struct.Struct("<8sIII")


@pytest.fixture(scope="module")
def streamed():
    model = ModelBuilder(3)
    x = model.input((1, 24, 8, 3), dtype="float32")
    q = model.operator("QUANTIZE", (x,), model.activation_tensor((1, 24, 8, 3), 0.02, 3))
    a = model.conv(q, 8, (3, 3), activation="RELU")
    b = model.depthwise(model.conv(a, 16, (1, 1)), (3, 3), stride=(2, 2))
    units = model.fully_connected(model.reshape(b, (1, 12 * 4 * 16)), 9)
    config = replace(PRESETS["npu4x4"], scratchpad_kib=1, weight_kib=5)
    return compile_network(model.finish(model.dequantize(units), a), config)


@pytest.fixture(scope="module")
def data(streamed):
    return encode_program(streamed)


def run(streamed):
    x = np.random.default_rng(1).normal(0, 1, (1, 24, 8, 3)).astype(np.float32)
    return StreamedDevice(streamed, "golden", range(len(streamed.pieces))).run([[x]]).outputs[0]


def parts(data):
    _, _, header_bytes, _ = PREFIX.unpack_from(data)
    return data[PREFIX.size :][:header_bytes], data[PREFIX.size + header_bytes : -32]


def with_checksum(header, image):
    body = PREFIX.pack(b"CELOSIA\n", FORMAT_VERSION, len(header), len(image)) + header + image
    return body + hashlib.sha256(body).digest()


def test_round_trip(streamed, data):
    loaded = decode_program(data)
    assert isinstance(loaded, StreamedProgram)
    assert encode_program(loaded) == data
    assert loaded.pieces == streamed.pieces
    assert (loaded.layers, loaded.layer_numbers) == (streamed.layers, streamed.layer_numbers)
    for before, after in zip(run(streamed), run(loaded), strict=True):
        np.testing.assert_array_equal(before, after)


PIECE = 2  # the first steps are QUANTIZE on the host and a strip


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("profile",), "single", "programs must be programs of one configuration and profile"),
        (("profile",), "up", "profile must be one of tflm"),
        (("config", "rows"), 3, "rows must be an integer from 4 to 64"),
        (("programs",), [], "programs must be programs whose images have"),
        (("programs", 0, "image_bytes"), 1 << 30, "image_bytes must be an integer from 0 to"),
        (("programs", 0, "header", "starts"), [-1], "starts.* must be an integer"),
        (("layer_numbers",), [], "layer_numbers must be a list of"),
        (("layer_numbers", 0, 0), 99, r"layer_numbers\[0\]\[0\] must be an integer from 0 to"),
        (("layers", 0, "macs"), -1, "macs must be an integer from 0"),
        (("layers", 0, "name"), 1, "name must be a string"),
        (("steps",), [], "steps must be a list with at least one piece"),
        (("steps", PIECE, "program"), 99, "program must be an integer from 0"),
        (("steps", PIECE, "inputs"), [], "pieces must have their programs' inputs and outputs"),
        (("steps", PIECE, "inputs", 0, "value"), 99, "must be a part of one that has been made"),
        (("steps", PIECE, "inputs", 0, "spans"), [], "must be a part of one that has been made"),
        (("steps", PIECE, "inputs", 0, "spans", 1), [0, 99], "must be a part of one"),
        (("steps", PIECE, "inputs", 0, "spans", 1), [0, -1], "must be an integer from 0"),
        (("steps", PIECE, "outputs", 0, "spans", 1), [0, 1], "must be a part of one"),
        (("steps", 0), {}, "an object with the key 'program'"),
        (("steps", 0, "host", "outputs"), [99], "must be a part of one that has been made"),
        (("tensors",), [], "must be a part of one that has been made"),
        (("signature_outputs", 0, "value"), 99, "must be a part of one that has been made"),
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


def test_images_that_end_early_are_refused(data):
    header, image = parts(data)
    with pytest.raises(CelosiaError, match="image_bytes must be an integer from 0"):
        decode_program(with_checksum(header, image[:-16]))
    with pytest.raises(CelosiaError, match="programs must be programs whose images have"):
        decode_program(with_checksum(header, image + bytes(16)))


@pytest.mark.parametrize("first", range(0, 200, 100))
def test_damaged_files_are_refused(data, first):
    for seed in range(first, first + 100):
        print(f"seed {seed}")
        damaged = (truncated if seed % 2 else mutated)(data, np.random.default_rng(seed))
        if damaged == data:
            continue
        with pytest.raises(CelosiaError):
            decode_program(damaged)


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_forged_files_are_refused_or_run(data, first):
    header, image = parts(data)
    for seed in range(first, first + 50):
        print(f"seed {seed}")
        rng = np.random.default_rng(seed)
        document = json.loads(header)
        forge(rng, document)
        try:
            streamed = decode_program(with_checksum(json.dumps(document).encode(), image))
            if isinstance(streamed, StreamedProgram):
                assert encode_program(decode_program(encode_program(streamed)))
                run(streamed)
        except CelosiaError:
            continue


def forge(rng, place):
    """Replace one value of a document by one of another kind or size."""
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[rng.integers(len(keys))]
        if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.9:
            place = place[key]
            continue
        others = (0, -1, 1, 7, 1 << 40, 0.5, "x", None, True, [], {}, [1, 2], "int8", "RELU")
        place[key] = others[rng.integers(len(others))]
        return
