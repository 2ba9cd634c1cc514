"""MATRIX, systolic array and accumulators in Verilator."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.accumulators import Accumulators
from celosia.hdl.npu.interfaces import MatrixEngineSignature, MemoryReadSignature, vector
from celosia.hdl.npu.matrix_unit import MatrixUnit
from celosia.hdl.npu.semaphores import Semaphores
from celosia.hdl.npu.systolic_array import SystolicArray
from celosia.sim.block_bench import run_block_bench


class MatrixPath(wiring.Component):
    """From instructions, scratchpad and weight rows to the accumulators."""

    def __init__(self, config):
        self.config = config
        self.unit = MatrixUnit(config)
        engine = MatrixEngineSignature(config.rows, config.columns)
        super().__init__(
            {
                "instructions": self.unit.signature.members["instructions"],
                "read": self.unit.signature.members["read"],
                "weights": engine.members["weights"],
                "accumulators": In(MemoryReadSignature(vector(config.columns, 32))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.unit = unit = self.unit
        m.submodules.engine = engine = SystolicArray(rows=config.rows, columns=config.columns)
        m.submodules.accumulators = accumulators = Accumulators(
            columns=config.columns, depth=config.accumulator_depth
        )
        m.submodules.semaphores = semaphores = Semaphores(units=1)
        wiring.connect(m, unit.semaphores, semaphores.unit_0)
        wiring.connect(m, unit.activations, engine.activations)
        wiring.connect(m, unit.jobs, accumulators.jobs)
        wiring.connect(m, engine.sums, accumulators.sums)
        wiring.connect(m, wiring.flipped(self.instructions), unit.instructions)
        wiring.connect(m, wiring.flipped(self.read), unit.read)
        wiring.connect(m, wiring.flipped(self.weights), engine.weights)
        wiring.connect(m, wiring.flipped(self.accumulators), accumulators.read)
        m.d.comb += self.busy.eq(unit.busy | accumulators.busy)
        return m


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (10, 6)])
def test_matrix_path(rows, columns):
    run_block_bench(
        lambda **table: MatrixPath(config_from_mapping(table, default_name="bench")),
        "celosia.sim.benches.matrix_path_bench",
        name="matrix_path",
        parameters={"base": "npu4x4", "rows": rows, "columns": columns, "depthwise_taps": 0},
        seed=1,
    )
