"""MATRIX in Verilator."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import SEMAPHORES
from celosia.hdl.npu.matrix_unit import MatrixUnit
from celosia.hdl.npu.semaphores import Semaphores
from celosia.sim.block_bench import run_block_bench


class MatrixUnitWithSemaphores(wiring.Component):
    """The unit, the semaphores that it takes, and a way to raise them."""

    def __init__(self, config):
        self.unit = MatrixUnit(config)
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


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (10, 6)])
def test_matrix_unit(rows, columns):
    run_block_bench(
        lambda **table: MatrixUnitWithSemaphores(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.matrix_unit_bench",
        name="matrix_unit",
        parameters={"base": "npu4x4", "rows": rows, "columns": columns},
        seed=1,
    )
