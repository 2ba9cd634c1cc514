"""Reading a model's file, whatever is in it."""

import stat
from pathlib import Path

from celosia.golden.errors import CelosiaError


def read_model_file(path: Path) -> bytes:
    """The bytes of a file. Raises CelosiaError for what isn't a file that can be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CelosiaError(f"model '{path}' must be a file")
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CelosiaError(f"model '{path}' can't be read: {reason}") from error
    except ValueError as error:  # a path with a NUL
        raise CelosiaError(f"model {str(path)!r} can't be read: {error}") from error
