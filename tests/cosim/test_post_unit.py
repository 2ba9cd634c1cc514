"""POST in Verilator."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import config_from_mapping
from celosia.hdl.npu.interfaces import SEMAPHORES
from celosia.hdl.npu.post_unit import PostUnit
from celosia.sim.block_bench import run_block_bench


class PostUnitWithGrants(wiring.Component):
    """POST, with semaphores granted as far as the bench says that they are `available`."""

    def __init__(self, **config):
        self._post = PostUnit(config_from_mapping(config, default_name="bench"))
        ports = dict(self._post.signature.members)
        del ports["semaphores"]
        super().__init__(
            {
                **ports,
                "available": In(SEMAPHORES),
                "wait": Out(SEMAPHORES),
                "take": Out(1),
                "signal": Out(SEMAPHORES),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.post = post = self._post
        for name in ("instructions", "weights", "accumulators", "scratchpad", "write"):
            if name in post.signature.members:
                wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(post, name))
        semaphores = post.semaphores
        m.d.comb += [
            semaphores.grant.eq((semaphores.wait & ~self.available) == 0),
            self.wait.eq(semaphores.wait),
            self.take.eq(semaphores.take),
            self.signal.eq(semaphores.signal),
            self.mark.eq(post.mark),
            self.state.eq(post.state),
            self.busy.eq(post.busy),
        ]
        return m


@pytest.mark.parametrize(
    ("rows", "columns", "lanes", "bits", "profiles", "vector_operations"),
    [
        (4, 4, 2, 32, ["tflm"], True),
        (4, 4, 1, 16, ["tflm"], True),
        (4, 10, 4, 32, ["tflm", "float32"], True),
        (10, 6, 5, 32, ["tflm", "litert", "single", "float32"], True),
        (6, 14, 1, 32, ["single"], True),
        (6, 14, 3, 4, ["single"], True),
        (9, 4, 3, 32, ["litert"], True),
        (4, 4, 1, 16, ["tflm"], False),
        (10, 6, 5, 32, ["tflm", "litert"], False),
        (6, 14, 3, 4, ["single"], False),
        (4, 4, 1, 1, ["tflm"], False),
        (6, 14, 1, 1, ["single"], False),
        (10, 6, 1, 1, ["tflm"], False),
    ],
)
def test_post_unit(rows, columns, lanes, bits, profiles, vector_operations):
    run_block_bench(
        PostUnitWithGrants,
        "celosia.sim.benches.post_unit_bench",
        name="post_unit",
        parameters={
            "rows": rows,
            "columns": columns,
            "scratchpad_kib": 3,
            "weight_kib": 8,
            "accumulator_depth": 48,
            "requantizer_lanes": lanes,
            "requantizer_bits": bits,
            "profiles": profiles,
            "vector_operations": vector_operations,
        },
        seed=1,
    )
