"""MATRIX in Verilator."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.mutants import mutated

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import SEMAPHORES
from celosia.hdl.npu import matrix_unit
from celosia.hdl.npu.matrix_unit import MatrixUnit
from celosia.hdl.npu.semaphores import Semaphores
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed


class MatrixUnitWithSemaphores(wiring.Component):
    """The unit, the semaphores that it takes, and a way to raise them."""

    def __init__(self, config, unit=MatrixUnit, **more):
        self.unit = unit(config, **more)
        self.semaphores = Semaphores(units=1)
        members = dict(self.unit.signature.members)
        del members["semaphores"]
        super().__init__(
            {
                **members,
                "raises": In(SEMAPHORES),
                "wait": Out(SEMAPHORES),
                "wait_granted": Out(1),
                "signal": Out(SEMAPHORES),
                "counts": Out(self.semaphores.counts.shape()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = self.unit
        m.submodules.semaphores = self.semaphores
        wiring.connect(m, self.unit.semaphores, self.semaphores.unit_0)
        for name in (
            *("instructions", "read", "activations", "jobs"),
            *("depthwise_jobs", "depthwise_vectors"),
            *(("crossbar_vectors",) if self.unit.config.crossbar is not None else ()),
        ):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.unit, name))
        m.d.comb += [
            self.semaphores.extra.eq(self.raises),
            self.wait.eq(self.unit.semaphores.wait),
            self.wait_granted.eq(self.unit.semaphores.grant),
            self.signal.eq(self.unit.semaphores.signal),
            self.counts.eq(self.semaphores.counts),
            self.state.eq(self.unit.state),
            self.busy.eq(self.unit.busy),
        ]
        return m


CROSSBAR = {"tiles": 8, "rows": 64, "outputs": 4, "adcs": 5}
"""Tiles as wide as the array is; the unit doesn't care how many there are."""


@pytest.mark.parametrize(
    ("rows", "columns", "crossbar"), [(4, 4, None), (10, 6, None), (4, 4, CROSSBAR)]
)
def test_matrix_unit(rows, columns, crossbar):
    run(MatrixUnit, rows, columns, crossbar)


def test_matrix_unit_with_block_rams():
    run(MatrixUnit, 4, 4, None, block_memories=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        ("run.payload.tag.tile.eq(product.tile)", "run.payload.tag.tile.eq(0)"),
        ("run.payload.counts[1].eq(product.kernel_columns)", "run.payload.counts[1].eq(1)"),
        ("for level, count in zip((3, 4)", "for level, count in zip((4, 3)"),
        ("last[2:].all() | on_crossbar", "last[2:].all()"),
        ("pixels.valid.eq(response.valid & tag.crossbar)", "pixels.valid.eq(tag.crossbar)"),
    ],
)
def test_the_bench_finds(change):
    with pytest.raises(SimulationFailed):
        run(mutated(matrix_unit, change).MatrixUnit, 4, 4, CROSSBAR)


def run(unit, rows, columns, crossbar, **more):
    run_block_bench(
        lambda **table: MatrixUnitWithSemaphores(
            config_from_mapping(table, default_name="bench"), unit, **more
        ),
        "celosia.sim.benches.matrix_unit_bench",
        name="matrix_unit",
        parameters={
            "base": "npu4x4",
            "rows": rows,
            "columns": columns,
            **({} if crossbar is None else {"crossbar": crossbar}),
        },
        seed=1,
    )
