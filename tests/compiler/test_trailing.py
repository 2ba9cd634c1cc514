"""Results that take the place of what their layer has read, where memory is short."""

import random
import re
from dataclasses import replace

import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.races import check_order, instructions_of
from support.random_networks import random_config
from support.tflite_writer import ModelBuilder

from celosia.compiler import memory_planner
from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.compiler.trailing import trailing_leads
from celosia.golden.errors import DoesNotFit


def chain(seed):
    """Convolutions with random windows, one after another, of one or two images."""
    model = ModelBuilder(seed)
    rng = random.Random(seed)
    x = model.input((rng.choice([1, 1, 2]), rng.randint(20, 40), rng.randint(14, 24), 4))
    for _ in range(rng.randint(2, 4)):
        window = {
            "stride": (rng.choice([1, 1, 2]), rng.choice([1, 1, 2])),
            "padding": rng.choice(["SAME", "VALID"]),
        }
        kernel = rng.choice([1, 1, 2, 3, 4]), rng.choice([1, 1, 2, 3])
        if rng.random() < 0.5:
            x = model.depthwise(x, kernel, multiplier=rng.choice([1, 1, 2]), **window)
        else:
            x = model.conv(x, rng.choice([4, 8, 11]), kernel, **window)
    return load_tflite(model.finish(x))


def squeezed(graph, config):
    """The program of a graph on as little scratchpad as it fits; None where that is 1 KiB."""
    try:
        compile_model(graph, replace(config, scratchpad_kib=1))
    except DoesNotFit as error:
        (least,) = re.findall(r"scratchpad_kib must be at least (\d+)", str(error))
        return compile_model(graph, replace(config, scratchpad_kib=int(least)))
    return None


def trailing(program):
    """Layers whose result shares vectors with their source, behind which it doesn't start."""
    places = [place for place in program.tensors if place.within == place.value]
    return [
        program.layers[b.first].op
        for a in places
        for b in places
        if a.last == b.first and b.address < a.address < b.address + b.vectors
    ]


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_chains_in_the_least_memory(first):
    found = []
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        graph = chain(seed)
        program = squeezed(graph, replace(random_config(seed), accumulator_depth=48))
        if program is not None:
            found += trailing(program)
            assert_layers_match(graph, program, random_inputs(program, seed))
            check_order(instructions_of(program), program.config)
    assert set(found) == {"CONV_2D", "DEPTHWISE_CONV_2D"}


def test_leads_that_are_a_row_too_short_are_found(monkeypatch):
    monkeypatch.setattr(
        memory_planner,
        "trailing_leads",
        lambda body, config: {
            layer: max(lead - 16, 1) for layer, lead in trailing_leads(body, config).items()
        },
    )
    differing = 0
    for seed in range(10):
        graph = chain(seed)
        program = squeezed(graph, replace(random_config(seed), accumulator_depth=48))
        try:
            assert_layers_match(graph, program, random_inputs(program, seed))
        except AssertionError:
            differing += 1
    assert differing >= 1
