# amaranth: UnusedElaboratable=no
"""What the systolic array's constructor refuses."""

import pytest

from celosia.hdl.npu.systolic_array import SystolicArray


@pytest.mark.parametrize("rows", [1, "4"])
def test_init_wrong_rows(rows):
    with pytest.raises(
        ValueError,
        match=rf"^array rows must be an integer of at least 2, not {rows!r}$",
    ):
        SystolicArray(rows=rows, columns=4)


@pytest.mark.parametrize("columns", [0, 1.5])
def test_init_wrong_columns(columns):
    with pytest.raises(
        ValueError, match=rf"^array columns must be a positive integer, not {columns!r}$"
    ):
        SystolicArray(rows=4, columns=columns)
