"""Frames of the link: whole, or as if they had never been sent."""

import random
import zlib
from dataclasses import replace

import pytest

from celosia.golden.config import PRESETS, config_from_mapping
from celosia.golden.crossbar.emulation import HIGHEST, IDEAL, EmulatorConfig
from celosia.golden.link.frames import (
    MAX_BODY,
    MAX_FRAME,
    Frame,
    FrameReader,
    decode_frame,
    encode_frame,
    stuff,
    unstuff,
)
from celosia.golden.link.identity import IDENTITY_BYTES, Identity, board_identity, config_digest

SEED = 11


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return random.Random(SEED)


def random_frame(rng):
    body = bytes(
        rng.choice((0, 0, 1, 255, rng.randrange(256))) for _ in range(rng.randrange(MAX_BODY + 1))
    )
    return Frame(rng.randrange(256), rng.randrange(256), body)


# Worked examples of the paper's rule: each code is the distance to the next zero.
@pytest.mark.parametrize(
    ("content", "stuffed"),
    [
        (b"\0", b"\1\1"),
        (b"\0\0", b"\1\1\1"),
        (b"\x11\x22\0\x33", b"\3\x11\x22\2\x33"),
        (b"\x11\0\0\0", b"\2\x11\1\1\1"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
    ],
)
def test_stuffing(content, stuffed):
    assert stuff(content) == stuffed
    assert unstuff(stuffed) == content


def test_frames_survive_the_line(rng):
    for _ in range(300):
        frame = random_frame(rng)
        line = encode_frame(frame)
        assert 0 not in line[:-1]
        assert len(line) <= MAX_FRAME + 2
        assert decode_frame(line[:-1]) == frame


def test_a_reader_finds_frames_amid_garbage(rng):
    reader = FrameReader()
    sent = [random_frame(rng) for _ in range(50)]
    line = b""
    for frame in sent:
        line += rng.randbytes(rng.randrange(600)) + b"\0" + encode_frame(frame)
    cut = sorted(rng.sample(range(len(line)), 40))
    received = []
    for begin, end in zip([0, *cut], [*cut, len(line)], strict=True):
        received += reader.feed(line[begin:end])
    assert received == sent
    assert reader.dropped > 0


def test_any_flipped_bit_drops_the_frame(rng):
    line = bytearray(encode_frame(random_frame(rng)))[:-1]
    for index in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[index] ^= 1 << bit
            frames = FrameReader().feed(bytes(damaged) + b"\0")
            assert frames == []


def test_short_and_long_frames_are_dropped():
    content = b"\1"
    content += zlib.crc32(content).to_bytes(4, "little")
    assert decode_frame(stuff(content)) is None
    content = bytes([0] * 251)
    content += zlib.crc32(content).to_bytes(4, "little")
    assert decode_frame(stuff(content)) is None
    assert decode_frame(b"") is None


def test_an_identity_survives_the_line():
    identity = board_identity(PRESETS["npu8x8"], "1.22.3", b"\1\2\3\4\5\6\7\x08")
    assert identity.version == (1, 22, 3)
    assert len(identity.encode()) == IDENTITY_BYTES
    assert Identity.decode(identity.encode()) == identity
    assert Identity.decode(identity.encode()[:-1]) is None
    assert Identity.decode(b"XXXX" + identity.encode()[4:]) is None


def test_the_smallest_boards_keep_fewer_bytes():
    config = config_from_mapping(
        {
            "base": "npu4x4",
            "requantizer_bits": 1,
            "requantizer_lanes": 1,
            "vector_operations": False,
            "profiles": ["tflm"],
        },
        default_name="least",
    )
    least = board_identity(config, "0.1.0", bytes(8)).receive_bytes
    assert least < board_identity(PRESETS["npu4x4"], "0.1.0", bytes(8)).receive_bytes
    assert least >= len(encode_frame(Frame(1, 2, bytes([1] * MAX_BODY))))


def test_configurations_have_their_digests():
    digests = {config_digest(config) for config in PRESETS.values()}
    assert len(digests) == len(PRESETS)


def test_emulators_have_their_digests_whatever_their_device_is_called():
    base = config_from_mapping({"base": "npu8x8", "crossbar": {}}, default_name="x")

    def digest(**emulator):
        crossbar = replace(base.crossbar, emulator=EmulatorConfig(**emulator))
        return config_digest(replace(base, crossbar=crossbar))

    assert digest() == config_digest(base) == digest(device="sonos")
    digests = {digest(**{name: getattr(IDEAL, name) ^ 1}) for name in HIGHEST}
    assert len(digests | {digest()}) == len(HIGHEST) + 1
