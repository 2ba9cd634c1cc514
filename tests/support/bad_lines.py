"""Lines that damage, drop and double bytes."""

import random


class Spoiler:
    """Spoils a `share` of the bytes that pass, a third of them each way."""

    def __init__(self, share, seed):
        self.share = share
        self._rng = random.Random(seed)

    def spoil(self, data):
        """What comes out where these bytes go in."""
        out = bytearray()
        for byte in data:
            if self._rng.random() >= self.share:
                out.append(byte)
                continue
            kind = self._rng.randrange(3)
            if kind == 0:
                out.append(byte ^ self._rng.randint(1, 255))
            elif kind == 1:
                out += bytes([byte, byte])
        return bytes(out)


class SpoiledLine:
    """A line with a `spoiler` in both directions."""

    def __init__(self, line, share, seed):
        self._line = line
        self.spoiler = Spoiler(share, seed)

    def write(self, data):
        """Send what is left of bytes."""
        self._line.write(self.spoiler.spoil(data))

    def read(self, timeout_s):
        """What is left of the bytes that came."""
        return self.spoiler.spoil(self._line.read(timeout_s))
