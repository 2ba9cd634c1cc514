# amaranth: UnusedElaboratable=no
"""What the stream components refuse; their behaviour is tested in Verilator."""

import pytest

from celosia.hdl.stream import StreamFifo


@pytest.mark.parametrize("depth", [0, -1, 2.5])
def test_fifo_depth(depth):
    with pytest.raises(ValueError, match=rf"^FIFO depth must be a positive integer, not {depth}$"):
        StreamFifo(shape=8, depth=depth)
