"""The sequencer in Verilator."""

import pytest

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.sequencer import Sequencer
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize("columns", [4, 10, 16])
def test_sequencer(columns):
    run_block_bench(
        lambda **table: Sequencer(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.sequencer_bench",
        name="sequencer",
        parameters={"base": "npu4x4", "columns": columns},
        seed=1,
    )
