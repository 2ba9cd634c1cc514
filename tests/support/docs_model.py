"""The Python model of an array that docs/crossbar-controller.md shows."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "crossbar-controller.md"


def model_of_the_docs() -> str:
    """Its source, the only Python of that page."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return source
