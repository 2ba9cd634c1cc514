"""The sequencer in Verilator."""

import pytest

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.sequencer import Sequencer
from celosia.sim.block_bench import run_block_bench


@pytest.mark.parametrize(
    ("columns", "vector_operations"), [(4, True), (10, True), (16, True), (4, False)]
)
def test_sequencer(columns, vector_operations):
    run_block_bench(
        lambda **table: Sequencer(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.sequencer_bench",
        name="sequencer",
        parameters={
            "base": "npu4x4",
            "columns": columns,
            "vector_operations": vector_operations,
        },
        seed=1,
    )
