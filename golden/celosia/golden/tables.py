"""From TOML tables to dataclasses, with a sentence about what doesn't belong."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from celosia.golden.errors import CelosiaError

Table = Mapping[str, Any]
T = TypeVar("T")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The table of a user's file; `what` it describes is named in the sentence of the error.

    Raises:
        CelosiaError: the file can't be read, or isn't TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CelosiaError(f"can't read {what} {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CelosiaError(f"{what} {str(path)!r} must be a TOML file: {error}") from error


def as_table(value: object, name: str) -> dict[str, Any]:
    """The value of a key that holds a table.

    Raises:
        CelosiaError: it isn't one.
    """
    if not isinstance(value, Mapping):
        raise CelosiaError(f"{name} must be a table, not {value!r}")
    return dict(value)


def fill(kind: type[T], values: Table, name: str, whole: str) -> T:
    """A dataclass from the table `name` (empty for the whole file, which is `whole`).

    Raises:
        CelosiaError: an unknown key, a missing one, or what the dataclass itself says.
    """
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    where = f"{name}." if name else ""
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise CelosiaError(
                f"key must be one of {', '.join(sorted(known))} in {name or whole}, "
                f"not {key!r}{hint}"
            )
    missing = [
        where + entry.name
        for entry in known.values()
        if entry.name not in values
        and entry.default is MISSING
        and entry.default_factory is MISSING
    ]
    if missing:
        raise CelosiaError(f"a value must be given for {', '.join(missing)}")
    return kind(**values)
