"""The program file (`.cel`): one file with all that running a compiled model takes.

bytes       what
8           the letters CELOSIA and a line feed
4           format version, little-endian
4, 4        lengths of header and image
...         header: JSON, UTF-8, with configuration, ports, layers and host operators
...         image: bytes of the weight memory from vector 0
32          SHA-256 of everything before

A network in pieces has the headers of its programs in its own, and their images one after another.
"""

from celosia.compiler.program_file.container import (
    MAGIC,
    AnyProgram,
    decode_program,
    encode_program,
    load_program,
    save_program,
)

__all__ = [
    "MAGIC",
    "AnyProgram",
    "decode_program",
    "encode_program",
    "load_program",
    "save_program",
]
