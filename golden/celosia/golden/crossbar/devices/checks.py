"""Checks that groups of numbers share."""

import math
from dataclasses import fields

from celosia.golden.errors import CelosiaError


def check_numbers(table: object, name: str) -> None:
    """Every number of a group must be finite, and at least zero where nothing else is said."""
    for entry in fields(table):  # type: ignore[arg-type]
        value = getattr(table, entry.name)
        if entry.type is not float and entry.type is not int:
            continue
        wanted = "an integer" if entry.type is int else "a number"
        number = isinstance(value, (int, float) if entry.type is float else int)
        if not number or isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise CelosiaError(f"{name}.{entry.name} must be {wanted} from 0 up, not {value!r}")


def check_above(name: str, value: float, low: float) -> None:
    if not value > low:
        raise CelosiaError(f"{name} must be above {low:g}, not {value!r}")


def check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise CelosiaError(f"{name} must be from 0 to 1, not {value!r}")
