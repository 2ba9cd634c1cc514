"""The host port in Verilator."""

import pytest
from support.mutants import mutated

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu import host_port
from celosia.hdl.npu.host_port import HostPort
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

CROSSBAR = {"tiles": 5, "rows": 32, "outputs": 4, "cell_bits": 2, "adcs": 5}


@pytest.mark.parametrize(
    ("rows", "columns", "crossbar", "profile"),
    [(4, 10, None, 5), (6, 16, None, 5), (16, 4, CROSSBAR, 5), (4, 4, None, 0)],
)
def test_host_port(rows, columns, crossbar, profile):
    run(HostPort, rows, columns, crossbar, profile)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        (
            "answer.eq(self.crossbar_response.payload)",
            "answer.eq(self.crossbar_response.payload >> 1)",
        ),
        ("self.request.valid & (region == Region.CROSSBAR)", "(region == Region.CROSSBAR)"),
        ("Const(crossbar_word(config), 32)", "Const(0, 32)"),
        ("held_up.append(self.start)", "held_up.append(self.start & 0)"),
    ],
)
def test_the_bench_finds(change):
    with pytest.raises(SimulationFailed):
        run(mutated(host_port, change).HostPort, 16, 4, CROSSBAR)


def run(kind, rows, columns, crossbar, profile=5):
    run_block_bench(
        lambda **table: kind(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.host_port_bench",
        name="host_port",
        parameters={
            "base": "npu4x4",
            "rows": rows,
            "columns": columns,
            "scratchpad_kib": 1,
            "weight_kib": 1,
            "accumulator_depth": 10,
            "profile_depth": profile,
            "readable_sums": profile > 0,
            "profiles": ["tflm", "float32"],
            **({} if crossbar is None else {"crossbar": crossbar}),
        },
        seed=1,
    )
