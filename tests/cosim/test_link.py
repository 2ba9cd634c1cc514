"""The link's gateware in Verilator."""

import pytest

from celosia.hdl.link.link import Link
from celosia.sim.benches.link_bench import IDENTITY
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize("strings", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_link(strings):
    run_block_bench(
        lambda strings: Link(IDENTITY),
        "celosia.sim.benches.link_bench",
        name="link",
        parameters={"strings": strings},
        seed=1,
        timeout_s=60 + strings / 20,
    )
