"""Devices from TOML: the presets that come with the package, and files of users."""

import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.converters import Converters
from celosia.golden.crossbar.devices.curves import Curve, Shape
from celosia.golden.crossbar.devices.device import Conduction, Device, Law
from celosia.golden.crossbar.devices.groups import (
    Direct,
    Forming,
    Levels,
    PulseWidth,
    ResetPulse,
    SetPulse,
    Window,
)
from celosia.golden.crossbar.devices.lifetime import Drift, Endurance, Faults, Flicker, Relaxation
from celosia.golden.crossbar.devices.ramps import Ramp, Recipe
from celosia.golden.crossbar.front_end import Biasing
from celosia.golden.errors import CelosiaError
from celosia.golden.tables import Table, as_table, fill, read_toml

_PRESETS = files("celosia.golden.crossbar.devices") / "presets"

PRESETS = tuple(
    sorted(item.name.removesuffix(".toml") for item in _PRESETS.iterdir() if item.is_file())
)
"""Names of the presets."""


def load_device(source: str | Path) -> Device:
    """The device named by a preset or described by a TOML file.

    A TOML file names a preset (`base = "hfox-radar"`) and overrides what it likes, key by key;
    without `base` it gives everything that has no default. A curve, a list of windows and the list
    of relaxations are replaced as a whole.

    Raises:
        CelosiaError: no such preset or file, not TOML, an unknown key, or a value that can't be.
    """
    text = str(source)
    if text in PRESETS:
        return _build(_preset(text))
    path = Path(source)
    if path.suffix != ".toml" and not path.is_file():
        raise CelosiaError(
            f"device must be one of {', '.join(PRESETS)} or a .toml file, not {text!r}"
        )
    table = read_toml(path, "device")
    try:
        return device_from_mapping({"name": path.stem, **table})
    except CelosiaError as error:
        raise CelosiaError(f"device {text!r}: {error}") from error


def device_from_mapping(table: Table) -> Device:
    """The device that a TOML table describes, on top of its `base` where it has one.

    Raises:
        CelosiaError: as `load_device`.
    """
    values = dict(table)
    base = values.pop("base", None)
    if base is not None:
        if base not in list(PRESETS):  # a list takes any type
            raise CelosiaError(f"base must be one of {', '.join(PRESETS)}, not {base!r}")
        values = _merge(_preset(base), values)
    return _build(values)


def _preset(name: str) -> dict[str, Any]:
    return tomllib.loads((_PRESETS / f"{name}.toml").read_text(encoding="utf-8"))


def _merge(base: Table, table: Table) -> dict[str, Any]:
    merged = dict(base)
    for key, value in table.items():
        group = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = {**base[key], **value} if group and key not in _CURVES else value
    return merged


def _build(table: Table) -> Device:
    values = dict(table)
    for key, maker in _MAKERS.items():
        if key in values:
            values[key] = maker(values[key], key)
    device: Device = _fill(Device, values, "")
    return device


def _fill(kind: type, values: Table, name: str) -> Any:
    return fill(kind, values, name, "a device")


def _group(kind: type) -> Callable[[object, str], Any]:
    return lambda value, name: _fill(kind, as_table(value, name), name)


def _numbers(value: object, name: str) -> tuple[float, ...]:
    good = isinstance(value, list) and all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in value
    )
    if not good:
        raise CelosiaError(f"{name} must be a list of numbers, not {value!r}")
    return tuple(float(item) for item in value)  # type: ignore[attr-defined]


def _curve(value: object, name: str) -> Curve:
    table = as_table(value, name)
    if len(table) != 1 or next(iter(table)) not in list(Shape):
        raise CelosiaError(
            f"{name} must be one of {', '.join(Shape)} with its numbers, not {value!r}"
        )
    shape, numbers = next(iter(table.items()))
    return Curve(Shape(shape), _numbers(numbers, f"{name}.{shape}"))


def _levels(value: object, name: str) -> dict[int, Levels]:
    windows = {}
    for bits, table in as_table(value, name).items():
        if bits not in ("1", "2", "3", "4"):
            raise CelosiaError(f"{name} must be tables 1 to 4 for the bits of a cell, not {bits!r}")
        where = f"{name}.{bits}"
        lists = {
            key: _numbers(item, f"{where}.{key}") for key, item in as_table(table, where).items()
        }
        windows[int(bits)] = _fill(Levels, lists, where)
    return windows


def _relaxations(value: object, name: str) -> tuple[Relaxation, ...]:
    if not isinstance(value, list):
        raise CelosiaError(f"{name} must be a list of tables, not {value!r}")
    entries = []
    for item in value:
        table = as_table(item, name)
        if "sigma" in table:
            table["sigma"] = _curve(table["sigma"], f"{name}.sigma")
        entries.append(_fill(Relaxation, table, name))
    return tuple(entries)


def _ramp(value: object, name: str) -> Ramp:
    table = as_table(value, name)
    for key in ("gate_v", "line_v"):
        if key in table:
            table[key] = _numbers(table[key], f"{name}.{key}")
    try:
        ramp: Ramp = _fill(Ramp, table, name)
    except CelosiaError as error:
        raise CelosiaError(f"{name}: {error}") from error
    return ramp


def _recipe(value: object, name: str) -> Recipe:
    table = as_table(value, name)
    for key in ("set", "reset", "set_fine", "reset_fine"):
        if key in table:
            table[key] = _ramp(table[key], f"{name}.{key}")
    try:
        recipe: Recipe = _fill(Recipe, table, name)
    except CelosiaError as error:
        raise CelosiaError(f"{name}: {error}") from error
    return recipe


def _member(kind: type[StrEnum]) -> Callable[[object, str], StrEnum]:
    def make(value: object, name: str) -> StrEnum:
        if value not in list(kind):
            raise CelosiaError(f"{name} must be one of {', '.join(kind)}, not {value!r}")
        return kind(str(value))

    return make


def _lines(value: object, name: str) -> Lines:
    # What isn't given is nothing, not a segment's usual ohm.
    lines: Lines = _fill(Lines, {"row": 0.0, "column": 0.0, **as_table(value, name)}, name)
    return lines


def _biasing(value: object, name: str) -> Biasing:
    names = {item.name.lower(): item for item in Biasing}
    if not isinstance(value, str) or value not in names:
        raise CelosiaError(f"{name} must be one of {', '.join(names)}, not {value!r}")
    return names[value]


_CURVES = ("programming_error", "read_noise")

_MAKERS: dict[str, Callable[[object, str], Any]] = {
    "law": _member(Law),
    "conduction": _member(Conduction),
    "biasing": _biasing,
    "lines": _lines,
    "converters": _group(Converters),
    "window": _group(Window),
    "forming": _group(Forming),
    "form": _ramp,
    "step": _recipe,
    "coarse_fine": _recipe,
    "set": _group(SetPulse),
    "reset": _group(ResetPulse),
    "direct": _group(Direct),
    "pulse_width": _group(PulseWidth),
    "levels": _levels,
    "flicker": _group(Flicker),
    "relaxation": _relaxations,
    "drift": _group(Drift),
    "faults": _group(Faults),
    "endurance": _group(Endurance),
    **dict.fromkeys(_CURVES, _curve),
}
"""What makes a value of a device from what its TOML file has."""
