"""The file around header and image: magic, version, lengths, checksum."""

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import NoReturn

from celosia.compiler.program import Program
from celosia.compiler.program_file.header import decode_header, encode_header
from celosia.compiler.program_file.streamed import decode_streamed, encode_streamed
from celosia.compiler.streaming.program import StreamedProgram
from celosia.golden.errors import CelosiaError
from celosia.golden.files import write_atomically

MAGIC = b"CELOSIA\n"
FORMAT_VERSION = 6
MAX_BYTES = 1 << 28
AnyProgram = Program | StreamedProgram
_PREFIX = struct.Struct("<8sIII")
_DIGEST_BYTES = hashlib.sha256().digest_size


def save_program(program: AnyProgram, path: str | os.PathLike[str]) -> None:
    """Write a program file, whole or not at all.

    Raises:
        CelosiaError: the file can't be written.
    """
    write_atomically(Path(path), encode_program(program))


def load_program(path: str | os.PathLike[str]) -> AnyProgram:
    """The program of a file.

    Raises:
        CelosiaError: the file can't be read, or isn't a whole program of this format.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CelosiaError(f"can't read program {str(path)!r}: {error.strerror}") from error
    try:
        return decode_program(data)
    except CelosiaError as error:
        raise CelosiaError(f"can't use program {str(path)!r}: {error}") from error


def encode_program(program: AnyProgram) -> bytes:
    """The bytes of a program file."""
    if isinstance(program, StreamedProgram):
        fields = encode_streamed(program)
        image = b"".join(part.image for part in program.programs)
    else:
        fields, image = encode_header(program), program.image
    header = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
    body = _PREFIX.pack(MAGIC, FORMAT_VERSION, len(header), len(image)) + header + image
    return body + hashlib.sha256(body).digest()


def decode_program(data: bytes) -> AnyProgram:
    """The program that a file's bytes hold.

    Raises:
        CelosiaError: they aren't a whole program of this format.
    """
    if not data.startswith(MAGIC):
        raise CelosiaError("file must be a Celosia program, which 'celosia compile' writes")
    if len(data) < _PREFIX.size:
        _damaged("it ends early")
    _, version, header_bytes, image_bytes = _PREFIX.unpack_from(data)
    if version != FORMAT_VERSION:
        raise CelosiaError(
            f"program's format version must be {FORMAT_VERSION}, not {version}; "
            f"compile the model again"
        )
    expected = _PREFIX.size + header_bytes + image_bytes + _DIGEST_BYTES
    if len(data) != expected:
        _damaged(f"it has {len(data)} bytes and should have {expected}")
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        _damaged("its checksum is wrong")
    image_start = _PREFIX.size + header_bytes
    try:
        header = json.loads(body[_PREFIX.size : image_start])
    except (ValueError, RecursionError):
        _damaged("its header isn't JSON")
    pieces = isinstance(header, dict) and "programs" in header
    return (decode_streamed if pieces else decode_header)(header, body[image_start:])


def _damaged(how: str) -> NoReturn:
    raise CelosiaError(f"program is damaged: {how}; compile the model again")
