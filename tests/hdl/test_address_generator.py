# amaranth: UnusedElaboratable=no
"""What the address generator's constructor refuses."""

import re

import pytest

from celosia.hdl.npu.address_generator import AddressGenerator


@pytest.mark.parametrize("run_levels", [(0,), (1, 1), (0, 5)])
def test_init_wrong_run_levels(run_levels):
    message = f"run levels must be two different ones of 0 to 4, not {run_levels!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        AddressGenerator(run_levels=run_levels)
