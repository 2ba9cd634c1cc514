"""Boards from TOML: those that come with the package, and files of users."""

import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from celosia.boards.board import (
    Board,
    Clock,
    Level,
    Method,
    Pin,
    Programmer,
    Pull,
    Uart,
    device_named,
)
from celosia.golden.config import NpuConfig, config_from_mapping
from celosia.golden.errors import CelosiaError
from celosia.golden.tables import Table, as_table, fill, read_toml

_DEFINITIONS = files("celosia.boards") / "definitions"

BOARDS = tuple(
    sorted(item.name.removesuffix(".toml") for item in _DEFINITIONS.iterdir() if item.is_file())
)
"""Names of the boards that come with the package."""

_GROUPS = ("clock", "uart")
"""Tables of which a board that starts from another may override single keys."""

Choice = TypeVar("Choice", bound=StrEnum)


def load_board(source: str | Path) -> Board:
    """The board of that name, or described by a TOML file.

    A TOML file may start from a board (`base = "ulx3s-85f"`) and overrides what it likes: keys of
    `clock` and `uart` one by one, everything else as a whole.

    Raises:
        CelosiaError: no such board or file, not TOML, an unknown key, or a value that can't be.
    """
    text = str(source)
    if text in BOARDS:
        return _build(_definition(text), text)
    path = Path(source)
    if path.suffix != ".toml" and not path.is_file():
        raise CelosiaError(
            f"board must be one of {', '.join(BOARDS)} or a .toml file, not {text!r}"
        )
    table = read_toml(path, "board")
    try:
        return board_from_mapping(table, default_name=path.stem.lower())
    except CelosiaError as error:
        raise CelosiaError(f"board {text!r}: {error}") from error


def board_from_mapping(table: Table, *, default_name: str) -> Board:
    """The board that a TOML table describes.

    Raises:
        CelosiaError: as `load_board`.
    """
    base = table.get("base")
    if base is not None and base not in list(BOARDS):  # a list takes any type
        raise CelosiaError(f"base must be one of {', '.join(BOARDS)}, not {base!r}")
    return _build(_merge(table), default_name)


def _definition(name: str) -> dict[str, Any]:
    text = (_DEFINITIONS / f"{name}.toml").read_text(encoding="utf-8")
    return _merge(tomllib.loads(text))


def _merge(table: Table) -> dict[str, Any]:
    """The table on top of the board that it starts from."""
    values = dict(table)
    base = values.pop("base", None)
    if base is None:
        return values
    merged = _definition(base)
    merged.pop("name", None)
    for key, value in values.items():
        group = key in _GROUPS and isinstance(value, Mapping)
        merged[key] = {**merged[key], **value} if group else value
    return merged


def _build(table: Table, default_name: str) -> Board:
    values = {"name": default_name, **_OPTIONAL, **table}
    for key, make in _MAKERS.items():
        if key in table:
            values[key] = make(values[key], key)
    if "config" in values:
        values["config"] = _config(values["config"], str(values["name"]))
    return fill(Board, values, "", "a board")


def _config(value: object, board: str) -> NpuConfig:
    table = as_table(value, "config")
    base = table.get("base")
    changed = f"{base or 'npu'}-{board}"
    try:
        return config_from_mapping(
            table, default_name=str(base) if table.keys() == {"base"} else changed
        )
    except CelosiaError as error:
        raise CelosiaError(f"config: {error}") from error


def _clock(value: object, name: str) -> Clock:
    table = as_table(value, name)
    rest = {key: table.pop(key) for key in ("mhz",) if key in table}
    return fill(Clock, {"pin": _pin(table, name), **rest}, name, name)


def _uart(value: object, name: str) -> Uart:
    table = as_table(value, name)
    for key in ("rx", "tx"):
        if key in table:
            table[key] = _pin(table[key], f"{name}.{key}")
    return fill(Uart, table, name, name)


def _leds(value: object, name: str) -> tuple[Pin, ...]:
    if not isinstance(value, list):
        raise CelosiaError(f"{name} must be a list of pins, not {value!r}")
    return tuple(_pin(item, f"{name}.{number}") for number, item in enumerate(value))


def _pin(value: object, name: str) -> Pin:
    table = {"pin": value} if isinstance(value, str) else as_table(value, name)
    if "active" in table:
        table["active"] = _choice(Level, table["active"], f"{name}.active")
    if "pull" in table:
        table["pull"] = _choice(Pull, table["pull"], f"{name}.pull")
    return fill(Pin, table, name, name)


def _programmers(value: object, name: str) -> tuple[Programmer, ...]:
    if not isinstance(value, list):
        raise CelosiaError(f"{name} must be a list of tables, not {value!r}")
    programmers = []
    for item in value:
        table = as_table(item, name)
        if "method" in table:
            table["method"] = _choice(Method, table["method"], f"{name}.method")
        arguments = table.get("arguments", [])
        if not isinstance(arguments, list):
            raise CelosiaError(f"{name}.arguments must be a list of strings, not {arguments!r}")
        programmers.append(fill(Programmer, {**table, "arguments": tuple(arguments)}, name, name))
    return tuple(programmers)


def _usb(value: object, name: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise CelosiaError(f"{name} must be a list of strings, not {value!r}")
    return tuple(value)


def _choice(kind: type[Choice], value: object, name: str) -> Choice:
    if value not in list(kind):
        raise CelosiaError(f"{name} must be one of {', '.join(kind)}, not {value!r}")
    return kind(str(value))


_OPTIONAL: Table = {
    "speed": "",
    "io_standard": "",
    "leds": (),
    "reset": None,
    "programmers": (),
    "usb": (),
    "source": "",
    "notes": "",
}
"""What a board may leave out."""

_MAKERS: Mapping[str, Callable[[object, str], Any]] = {
    "device": lambda value, name: device_named(value),
    "clock": _clock,
    "uart": _uart,
    "leds": _leds,
    "reset": _pin,
    "programmers": _programmers,
    "usb": _usb,
}
"""What makes a value of a board from what its TOML file has."""
