# amaranth: UnusedElaboratable=no
"""What the requantiser's constructor refuses."""

import pytest

from celosia.golden.quantization import RoundingMode
from celosia.hdl.npu.requantizer import Requantizer


@pytest.mark.parametrize("lanes", [0, "4"])
def test_init_wrong_lanes(lanes):
    with pytest.raises(
        ValueError, match=rf"^requantizer lanes must be a positive integer, not {lanes!r}$"
    ):
        Requantizer(lanes=lanes, modes=[RoundingMode.DOUBLE])


@pytest.mark.parametrize(("modes", "shown"), [([], r"\[\]"), ([9], r"\[9\]")])
def test_init_wrong_modes(modes, shown):
    with pytest.raises(
        ValueError, match=rf"^requantizer modes must be some RoundingMode, not {shown}$"
    ):
        Requantizer(lanes=1, modes=modes)
