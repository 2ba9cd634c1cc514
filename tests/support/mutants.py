"""Gateware with a fault in it: a module's source with fragments replaced."""

import types
from pathlib import Path


def mutated(module, *changes):
    """A copy of a module; each (old, new) fragment must stand in its source exactly once."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    copy = types.ModuleType("mutant")
    exec(compile(source, "mutant", "exec"), copy.__dict__)
    return copy
