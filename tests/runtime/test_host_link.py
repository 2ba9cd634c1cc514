"""The driver's core against the model of the board, over lines good and bad."""

import numpy as np
import pytest
from support.bad_lines import Spoiler

from celosia.golden.config import PRESETS
from celosia.golden.link.endpoint import Endpoint
from celosia.golden.link.frames import FrameReader, encode_frame
from celosia.golden.link.identity import board_identity
from celosia.runtime.link.host_link import HostLink, LinkError

SEED = 3
IDENTITY = board_identity(PRESETS["npu8x8"], "0.1.0", bytes(8))


class Memory:
    """A bus that remembers writes in order."""

    def __init__(self):
        self.words = {}
        self.writes = []

    def read(self, address):
        return self.words.get(address, 0)

    def write(self, address, word):
        self.words[address] = word
        self.writes.append((address, word))


class ModelLine:
    """A board behind a line that damages, drops and doubles a share of the bytes, both ways."""

    def __init__(self, bus, bad=0.0, seed=SEED):
        self.bus = bus
        self.endpoint = Endpoint(IDENTITY, bus)
        self._spoil = Spoiler(bad, seed).spoil
        self.reader = FrameReader()
        self.back = bytearray()
        self.most_under_way = 0
        self.silent = False

    def write(self, data):
        for frame in self.reader.feed(self._spoil(data)):
            if not self.silent:
                self.back += self._spoil(encode_frame(self.endpoint.answer(frame)))
        self.most_under_way = max(self.most_under_way, len(data))

    def read(self, timeout_s):
        data, self.back = bytes(self.back[:100]), self.back[100:]
        return data


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


def test_words_get_there_and_back(rng):
    line = ModelLine(Memory())
    link = HostLink(line)
    assert link.connect() == IDENTITY
    words = rng.integers(0, 1 << 32, 5000).astype(np.uint32)
    link.write(0x1000_0000, words)
    assert np.array_equal(link.read(0x1000_0000, len(words)), words)
    assert len(line.bus.writes) == len(words)
    assert link.resent == 0
    assert 0 < line.most_under_way <= IDENTITY.receive_bytes
    link.write(0, words[:0])
    assert len(link.read(0, 0)) == 0


@pytest.mark.parametrize("bad", [0.001, 0.01])
@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_loses_nothing(rng, bad, seed):
    print(f"line's seed {seed}")
    line = ModelLine(Memory(), bad, seed)
    link = HostLink(line, timeout_s=0.02, attempts=60)
    link.connect()
    for turn in range(12):
        count = int(rng.integers(1, 300))
        words = rng.integers(0, 1 << 32, count).astype(np.uint32)
        link.write(4096 * turn, words)
        assert np.array_equal(link.read(4096 * turn, count), words)
    # A single word, as that which starts a program, is written once.
    line.bus.writes.clear()
    for value in range(50):
        link.write(8, np.array([value], np.uint32))
    assert line.bus.writes == [(8, value) for value in range(50)]
    assert link.resent > 0


def test_a_silent_board_is_given_up():
    line = ModelLine(Memory())
    line.silent = True
    with pytest.raises(LinkError, match=r"^board must answer within 0\.03 s, and nothing that"):
        HostLink(line, timeout_s=0.01, attempts=3).connect()
    line.silent = False
    link = HostLink(line, timeout_s=0.01, attempts=3)
    link.connect()
    line.silent = True
    with pytest.raises(
        LinkError, match=r"^board must answer, and fell silent: 4 attempts at a READ"
    ):
        link.read(0, 1)


def test_a_reset_board_is_found_out():
    line = ModelLine(Memory())
    link = HostLink(line, timeout_s=0.01, attempts=3)
    while True:
        link.connect()
        if link._sequence not in range(10):
            break
    line.endpoint = Endpoint(IDENTITY, line.bus)
    with pytest.raises(LinkError, match="was reset meanwhile"):
        link.read(0, 1)


def test_another_protocol_is_refused():
    line = ModelLine(Memory())
    line.endpoint = Endpoint(type(IDENTITY)(9, (0, 1, 0), bytes(8), bytes(8), 2048), line.bus)
    with pytest.raises(
        LinkError, match=r"^board must speak version 1 of the link's protocol, not 9"
    ):
        HostLink(line).connect()
