"""Runs a program on the golden machine and compares every layer with the interpreter."""

import numpy as np

from celosia.compiler.golden_run import load_machine, read_outputs, write_inputs
from celosia.golden.interpreter import Interpreter


def random_inputs(program, seed):
    """Noise for a program's inputs: int8, or float32 where it takes that."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, tensor.shape, dtype=np.int8)
        if tensor.dtype == np.int8
        else rng.normal(0, 1, tensor.shape).astype(np.float32)
        for tensor in program.signature_inputs.values()
    ]


def assert_layers_match(graph, program, inputs):
    """Step to every mark and compare the layer's tensor, then the outputs: no byte may differ."""
    expected = Interpreter(graph, program.profile).run_all(inputs)
    machine = load_machine(program)
    values, writes = program.prepare(inputs)
    write_inputs(machine, writes)
    placements = {item.value: item for item in program.tensors}
    machine.start(program.start)
    while not machine.halted:
        if not machine.step().mark:
            continue
        layer = program.layers[machine.marks - 1]
        if layer.output not in expected:
            continue  # the compiler's own tensor
        place = placements[layer.output]
        own = place.layout.pixel_vectors(program.config.rows)
        pixels = place.address + np.arange(place.layout.pixels) * place.step
        stored = machine.scratchpad[pixels[:, None] + np.arange(own)]
        found = place.layout.unpack(stored, place.shape)
        differing = int((found != expected[layer.output]).sum())
        assert not differing, f"{differing} bytes differ in layer {layer.op} '{layer.name}'"
    assert machine.marks == len(program.layers)
    reads = read_outputs(machine, program)
    for index, found in zip(graph.outputs, program.finish(values, reads), strict=True):
        np.testing.assert_array_equal(found, expected[index])
