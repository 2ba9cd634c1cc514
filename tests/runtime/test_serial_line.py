"""Serial ports that can't be opened, and what is said of them."""

import os

import pytest

from celosia.golden.errors import CelosiaError
from celosia.runtime.link.serial_line import SerialLine


def test_port_that_is_not_there(tmp_path):
    with pytest.raises(CelosiaError) as refused:
        SerialLine(str(tmp_path / "ttyUSB9"), 115_200)
    assert str(refused.value).startswith(
        f"port must be that of a board, at a rate that it knows, and {str(tmp_path / 'ttyUSB9')!r} "
        "at 115,200 baud can't be opened: "
    )
    assert str(refused.value).count("No such file or directory") == 1
    assert "doctor" not in str(refused.value)


def test_port_that_may_not_be_opened(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CelosiaError) as refused:
        SerialLine("/dev/ttyUSB9")
    assert "Permission denied" in str(refused.value)
    assert str(refused.value).endswith("; celosia doctor tells how to be allowed to")
