# amaranth: UnusedElaboratable=no
"""What the accumulators' constructor refuses."""

import pytest

from celosia.hdl.npu.accumulators import Accumulators


@pytest.mark.parametrize("depth", [2, 33, "8"])
def test_init_wrong_depth(depth):
    with pytest.raises(
        ValueError,
        match=rf"^accumulator depth must be an even integer of at least 4, not {depth!r}$",
    ):
        Accumulators(columns=4, depth=depth)
