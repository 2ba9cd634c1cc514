"""Programs of two entries: neither touches what the host may transfer for the other."""

from dataclasses import replace

import numpy as np
import pytest
from support.layerwise import random_inputs
from support.random_networks import random_config, random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import load_machine, read_outputs, write_inputs
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.interpreter import Interpreter

CONFIG = PRESETS["npu8x8"]


class Touched(Exception):
    """An entry read or wrote what belongs to the host while it runs."""


def vectors_of_ports(program, entry):
    """Scratchpad vectors of the inputs and outputs that an entry has."""
    return np.concatenate(
        [
            np.arange(port.addresses[entry], port.addresses[entry] + port.vectors(program.config))
            for port in (*program.inputs, *program.outputs)
        ]
    )


def check_entries(graph, program, seed):
    """Each entry gives the interpreter's bytes; neither reads or writes the other's tensors."""
    rng = np.random.default_rng(seed)
    machine = load_machine(program)
    inputs = random_inputs(program, seed)
    expected = Interpreter(graph, program.profile).run(inputs)
    for entry, start in enumerate(program.starts):
        values, writes = program.prepare(inputs)
        machine.scratchpad[...] = rng.integers(-128, 128, machine.scratchpad.shape)
        write_inputs(machine, program.writes_for(entry, writes))
        others = vectors_of_ports(program, 1 - entry)
        before = machine.scratchpad[others]
        machine.run(start)
        found = program.finish(values, read_outputs(machine, program, entry))
        equal = all(map(np.array_equal, found, expected))
        if not equal or (machine.scratchpad[others] != before).any():
            raise Touched(f"entry {entry}")


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_entries_keep_apart(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        config = replace(random_config(seed), scratchpad_kib=128)
        program = compile_model(graph, config, overlap=True)
        assert program.overlapping
        check_entries(graph, program, seed)


@pytest.mark.parametrize("preset", ["npu8x8", "npu16x16"])
@pytest.mark.parametrize("model", ["ad_autoencoder_int8", "kws_dscnn_int8"])
def test_entries_of_public_networks_keep_apart(models_dir, model, preset):
    graph = load_tflite(models_dir / f"{model}.tflite")
    program = compile_model(graph, PRESETS[preset], overlap=True)
    assert program.overlapping
    check_entries(graph, program, 1)


def test_tensors_that_stand_at_one_place_are_found():
    graph = load_tflite(random_network(1))
    program = compile_model(graph, CONFIG, overlap=True)
    same = [
        tuple(replace(port, addresses=port.addresses[:1] * 2) for port in ports)
        for ports in (program.inputs, program.outputs)
    ]
    shared = replace(program, starts=program.starts[:1] * 2, inputs=same[0], outputs=same[1])
    with pytest.raises(Touched):
        check_entries(graph, shared, 1)


def test_an_entry_alone_is_made_where_tensors_do_not_fit_twice():
    model = ModelBuilder(1)
    data = model.finish(model.conv(model.input((1, 16, 16, 8)), 8))
    # Input and output of 256 vectors each are in use at once: 4 KiB, and twice that with both.
    for kib, overlapping in ((7, False), (8, True)):
        config = replace(CONFIG, scratchpad_kib=kib)
        assert compile_model(data, config, overlap=True).overlapping is overlapping


def test_an_entry_alone_is_made_where_instructions_do_not_fit_twice():
    model = ModelBuilder(2)
    x = model.input((1, 3, 3, 8))
    for _ in range(200):
        x = model.pool(x, "MAX", (2, 2), stride=(1, 1), padding="SAME")
    data = model.finish(x)
    size = len(compile_model(data, CONFIG).image)
    small = replace(CONFIG, weight_kib=-(-size // 1024))
    program = compile_model(data, small, overlap=True)
    assert not program.overlapping
    assert program.image == compile_model(data, small).image


def test_space_of_inputs_is_used_again():
    # 256 vectors of input, 64 of each result: the second layer's may stand where the input was.
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 16, 16, 8)), 8, stride=(2, 2))
    data = model.finish(model.conv(x, 8))
    config = replace(CONFIG, scratchpad_kib=5)
    assert compile_model(data, config, overlap=True).overlapping
