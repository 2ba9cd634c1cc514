"""Networks of the usual families, compiled for any array, give the referee's bytes."""

import numpy as np
import pytest
from support.comparison import random_inputs
from support.networks import FAMILIES
from support.referee import Referee

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.rounding import RoundingProfile


def odd(rows, columns, lanes):
    return NpuConfig(
        name=f"odd{rows}x{columns}",
        rows=rows,
        columns=columns,
        scratchpad_kib=64,
        weight_kib=512,
        accumulator_depth=64,
        requantizer_lanes=lanes,
        profiles=(RoundingProfile.TFLM,),
    )


CONFIGS = [PRESETS["npu8x8"], PRESETS["npu16x16"], odd(4, 4, 2), odd(6, 10, 3), odd(10, 6, 5)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("name", FAMILIES)
def test_networks_equal_the_referee(name, config):
    for seed in range(3):
        data = FAMILIES[name](seed)
        graph = load_tflite(data)
        program = compile_model(graph, config)
        hosted = {
            node.kind.value
            for stage in (program.prologue, program.epilogue)
            for node in stage.graph.operators
        }
        assert hosted <= {"QUANTIZE", "SOFTMAX", "DEQUANTIZE"}
        referee, logits = Referee(data), set()
        for values in random_inputs(graph, np.random.default_rng(seed), 4):
            expected = referee.run(values, len(graph.outputs))
            for wanted, found in zip(expected, run_on_machine(program, values), strict=True):
                np.testing.assert_array_equal(found, wanted, err_msg=f"seed {seed}")
            logits.update(expected[-1].reshape(-1).tolist())
        # Networks whose values all saturate would compare nothing.
        assert len(logits) > 8
