"""Programs for tests of the whole NPU."""

import numpy as np
from support.layerwise import random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import load_machine


def loaded(program, seed):
    """A machine with the program, random inputs, and random values wherever nothing else is."""
    machine = load_machine(program)
    rng = np.random.default_rng(seed)
    machine.scratchpad[...] = rng.integers(-128, 128, machine.scratchpad.shape)
    for address, vectors in program.prepare(random_inputs(program, seed))[1]:
        machine.scratchpad[address : address + len(vectors)] = vectors
    return machine


def tour(config):
    """A network that takes every kind of instruction of a configuration, in few of them."""
    model = ModelBuilder(7)
    x = model.input((1, 5, 6, 3))
    x = model.conv(x, 9, (3, 3), activation="RELU")
    x = model.depthwise(x, (3, 2))
    if config.vector_operations:
        x = model.add(model.conv(x, 9, (1, 1)), x)
        mean = model.mean(x, keep_dims=True)
        x = model.mul(x, model.unary("LOGISTIC", model.conv(mean, 9, (1, 1))))
        x = model.pool(x, "MAX", (2, 2), stride=(2, 2), padding="SAME")
        x = model.pool(x, "AVERAGE", (3, 3), stride=(1, 1), padding="SAME")
    else:
        x = model.pool(x, "AVERAGE", (2, 2), stride=(2, 2))
        x = model.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))
    x = model.fully_connected(model.reshape(x, (1, 81)), 11)
    return compile_model(model.finish(x), config)
