"""Reading JSON that anyone may have written: every access checks type and range."""

import math
from collections.abc import Iterator
from enum import Enum
from typing import Any, NoReturn, TypeVar

from celosia.golden.errors import CelosiaError

MAX_INDEX = (1 << 31) - 1
"""Largest index of a tensor, instruction or extent."""

_Enum = TypeVar("_Enum", bound=Enum)


class Field:
    """A value of the header and the way to it, for messages."""

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path

    def fail(self, expected: str) -> NoReturn:
        """Refuse the value."""
        shown = repr(self.value)
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
        raise CelosiaError(f"program's {self.path} must be {expected}, not {shown}")

    def __getitem__(self, key: str) -> "Field":
        if not isinstance(self.value, dict) or key not in self.value:
            self.fail(f"an object with the key {key!r}")
        return Field(self.value[key], f"{self.path}.{key}")

    def items(self, most: int = 1 << 16) -> Iterator["Field"]:
        """The elements of a list."""
        if not isinstance(self.value, list) or len(self.value) > most:
            self.fail(f"a list of at most {most} elements")
        for index, value in enumerate(self.value):
            yield Field(value, f"{self.path}[{index}]")

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        if type(self.value) is not int or not low <= self.value <= high:
            self.fail(f"an integer from {low} to {high}")
        return self.value

    def integers(self, low: int, high: int, *, count: int | None = None) -> tuple[int, ...]:
        """A list of whole numbers, `count` of them where given."""
        values = tuple(item.integer(low, high) for item in self.items())
        if count is not None and len(values) != count:
            self.fail(f"a list of {count} elements")
        return values

    def number(self) -> float:
        """A finite number."""
        if type(self.value) not in (int, float) or not math.isfinite(self.value):
            self.fail("a finite number")
        return float(self.value)

    def flag(self) -> bool:
        """True or false."""
        if type(self.value) is not bool:
            self.fail("true or false")
        return self.value

    def text(self) -> str:
        """A string."""
        if type(self.value) is not str:
            self.fail("a string")
        return self.value

    def choice(self, kind: type[_Enum]) -> _Enum:
        """A member of an enumeration, by its value."""
        if type(self.value) is not str or self.value not in [item.value for item in kind]:
            self.fail(f"one of {', '.join(str(item.value) for item in kind)}")
        return kind(self.value)
