"""A directory of finished builds, each named by the hash of all that went into it."""

import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from celosia.golden.errors import CelosiaError


def cache_root() -> Path:
    """Where builds are kept: ``CELOSIA_CACHE``, or the platform's folder for caches.

    Raises
    ------
    CelosiaError
        If the path contains white space, which make can't build in.
    """
    asked = os.environ.get("CELOSIA_CACHE")
    if asked:
        root = Path(asked).expanduser().absolute()
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches" / "celosia"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celosia"
    if any(c.isspace() for c in str(root)):
        raise CelosiaError(
            f"The build cache's path must not contain spaces, not {str(root)!r}: make can't build "
            "there. Set CELOSIA_CACHE to another folder."
        )
    return root


def content_key(content: object) -> str:
    """SHA-256 of anything JSON can write, independent of the order of its mappings."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def cached(kind: str, key: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of a finished build, built now if it isn't there yet.

    ``build`` fills a folder that becomes visible under its final name in one step and only when
    ``build`` returns, so that nobody ever sees half a build. Processes that want the same key
    wait for the first of them; a build that raises leaves nothing behind.

    Returns
    -------
    tuple of Path and bool
        The folder, and whether it had to be built.
    """
    folder = cache_root() / kind / key
    if folder.is_dir():
        return folder, False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_suffix(".lock").open("w")
    except OSError as error:
        raise CelosiaError(
            f"The build cache {str(folder.parent)!r} must be writable: {error.strerror}. "
            "Set CELOSIA_CACHE to another folder."
        ) from None
    with lock, _exclusive(lock.fileno()):
        if folder.is_dir():
            return folder, False
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a build that was killed
        partial.mkdir()
        try:
            build(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder, True


@contextmanager
def _exclusive(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
