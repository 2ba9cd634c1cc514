"""Files that appear whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celosia.golden.errors import CelosiaError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step: a reader sees the old one or the new one, never a part.

    Raises:
        CelosiaError: the folder is missing or can't be written to.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise CelosiaError(f"can't write {str(path)!r}: {error.strerror}") from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Where another program can write a file that appears as `path` when the block ends well.

    Whatever the program writes beside the file, and the file itself where the block raises, is
    removed.

    Raises:
        CelosiaError: the folder is missing or can't be written to, or `path` is a folder.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}."))
    except OSError as error:
        raise CelosiaError(f"can't write {str(path)!r}: {error.strerror}") from error
    try:
        yield folder / path.name
        if (folder / path.name).exists():
            os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
