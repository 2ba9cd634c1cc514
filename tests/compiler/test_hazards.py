"""Programs are free of races between units, whatever each unit's speed.

The golden machine runs instructions one after another, so it can't see a missing semaphore. This
checks the order itself: of two instructions of different units that touch the same vector, one of
them writing, the semaphores alone must let the later one start only when the earlier is complete.
"""

from dataclasses import replace

import pytest
from support.races import Race, check_order, instructions_of
from support.random_networks import random_config, random_network

from celosia.compiler.compile import compile_model
from celosia.golden.config import PRESETS
from celosia.golden.isa import Semaphore


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_networks_have_no_race(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        program = compile_model(random_network(seed, holes=seed % 3 == 0), random_config(seed))
        check_order(instructions_of(program), program.config)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_second_entries_of_batches_have_no_race(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        config = replace(random_config(seed), scratchpad_kib=256)
        program = compile_model(random_network(seed), config, batch=2, overlap=True)
        check_order(instructions_of(program, 1), program.config)


@pytest.mark.parametrize("preset", ["npu8x8", "npu16x16"])
@pytest.mark.parametrize("model", ["ic_resnet8_int8", "ad_autoencoder_int8", "kws_dscnn_int8"])
def test_public_networks_have_no_race(models_dir, model, preset):
    program = compile_model(models_dir / f"{model}.tflite", PRESETS[preset])
    check_order(instructions_of(program), program.config)


@pytest.mark.parametrize("semaphore", list(Semaphore))
def test_missing_semaphores_are_found(semaphore):
    found = 0
    for seed in range(20):
        program = compile_model(random_network(seed), random_config(seed))
        without = [
            replace(i, wait=i.wait & ~semaphore, signal=i.signal & ~semaphore)
            for i in instructions_of(program)
        ]
        try:
            check_order(without, program.config)
        except Race:
            found += 1
    assert found >= 5
