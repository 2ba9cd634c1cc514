"""Damages files in seeded ways, for tests of readers that must refuse them with one sentence."""

FOREIGN = {
    "empty": b"",
    "one byte": b"\x00",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "text": b"this is not a model\n" * 100,
    "json": b'{"model": []}',
    "elf": b"\x7fELF\x02\x01\x01" + bytes(200),
    "zip": b"PK\x03\x04" + bytes(range(256)) * 8,
    "png": b"\x89PNG\r\n\x1a\n" + bytes(300),
    "header alone": b"\x1c\x00\x00\x00TFL3",
    "header and zeros": b"\x1c\x00\x00\x00TFL3" + bytes(1000),
    "header and ones": b"\x1c\x00\x00\x00TFL3" + b"\xff" * 1000,
    "root far outside": b"\xf0\xff\xff\x7fTFL3" + bytes(64),
}


def truncated(data, rng):
    """The file cut short at a random place."""
    return data[: int(rng.integers(0, len(data) - 4))]


def mutated(data, rng):
    """The file with something in it changed: bits, words, a stretch moved or overwritten."""
    damaged = bytearray(data)
    # Tables lie apart from the (long) data of constants: aim at the ends as often as anywhere.
    span = len(data) if rng.random() < 0.3 else min(len(data), 3000)
    start = 0 if rng.random() < 0.5 else len(data) - span
    for _ in range(int(rng.integers(1, 6))):
        place = start + int(rng.integers(0, span - 8))
        match int(rng.integers(0, 5)):
            case 0:
                damaged[place] ^= 1 << int(rng.integers(0, 8))
            case 1:
                damaged[place] = int(rng.integers(0, 256))
            case 2:  # a word at one of the ends that offsets and sizes break on
                ends = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, len(data))
                word = ends[int(rng.integers(0, len(ends)))]
                damaged[place & ~3 : (place & ~3) + 4] = word.to_bytes(4, "little")
            case 3:
                length = int(rng.integers(1, 64))
                source = int(rng.integers(0, len(data) - length))
                damaged[place : place + length] = data[source : source + length]
            case 4:
                length = int(rng.integers(1, 64))
                damaged[place : place + length] = bytes(length)
    return bytes(damaged[: len(data)])
