"""The programs of `scripts/`, as modules."""

import importlib.util
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def load_script(name):
    """Import a script by its name without the suffix."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
