"""Batched graphs and programs: the bytes of as many single inferences, or a sentence."""

from dataclasses import replace

import numpy as np
import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.random_networks import random_config, random_network
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler import batch as batching
from celosia.compiler.batch import batched
from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import OpKind
from celosia.golden.interpreter import Interpreter
from celosia.golden.rounding import RoundingProfile

CONFIG = PRESETS["npu8x8"]
PROFILES = list(RoundingProfile)


def check(graph, count, config, profile=RoundingProfile.TFLM, seed=0):
    """A batched program gives the bytes of `count` single inferences, layer by layer."""
    program = compile_model(graph, config, profile, batch=count)
    inputs = random_inputs(program, seed)
    assert_layers_match(batched(graph, count), program, inputs)
    single = Interpreter(graph, profile)
    samples = zip(*(np.split(value, count) for value in inputs), strict=True)
    expected = [single.run(list(sample)) for sample in samples]
    found = run_on_machine(program, inputs)
    for values, stacked in zip(zip(*expected, strict=True), found, strict=True):
        np.testing.assert_array_equal(np.concatenate(values), stacked)
    return program


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_random_networks_in_batches(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        count = 2 + seed % 4
        config = replace(random_config(seed), scratchpad_kib=256)
        graph = load_tflite(random_network(seed))
        check(graph, count, config, PROFILES[seed % len(PROFILES)], seed)


@pytest.mark.parametrize(
    ("model", "count"),
    [("ad_autoencoder_int8", 8), ("kws_dscnn_int8", 4), ("ic_resnet8_int8", 2)],
)
def test_public_networks_equal_the_referee(models_dir, model, count):
    data = (models_dir / f"{model}.tflite").read_bytes()
    program = compile_model(data, CONFIG, batch=count)
    (inputs,) = random_inputs(program, 3)
    (found,) = run_on_machine(program, [inputs])
    referee = Referee(data, preserve_all=False)
    expected = [referee.run([sample])[0] for sample in np.split(inputs, count)]
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_inferences_of_a_fully_connected_layer_share_each_weight_tile(models_dir):
    graph = load_tflite(models_dir / "ad_autoencoder_int8.tflite")
    single, eight = (compile_model(graph, CONFIG, batch=n) for n in (1, 8))
    cycles = [sum(layer.estimated_cycles for layer in p.layers) for p in (single, eight)]
    assert cycles[1] < 1.1 * cycles[0]
    assert (single.batch, eight.batch) == (1, 8)
    assert single.macs == eight.macs
    assert single.sample_inputs[0].shape == eight.sample_inputs[0].shape


def test_small_images_share_the_weight_tiles_of_convolutions_of_one_pixel():
    model = ModelBuilder(1)
    data = model.finish(model.conv(model.input((1, 2, 2, 64)), 64, (1, 1)))
    single, four = (compile_model(data, CONFIG, batch=n) for n in (1, 4))
    cycles = [sum(layer.estimated_cycles for layer in p.layers) for p in (single, four)]
    assert cycles[1] < 2 * cycles[0]  # 4 pixels to a tile of 8 rows leave half of its time unused
    check(load_tflite(data), 4, CONFIG)


def test_leading_dimensions_beyond_one_and_host_operators():
    model = ModelBuilder(2)
    x = model.input((2, 5, 4, 3))
    padded = model.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))
    a = model.conv(padded, 6, stride=(2, 1))
    b = model.reshape(a, (6, 6, 6))
    c = model.reshape(model.fully_connected(model.reshape(b, (12, 18)), 16), (3, 8, 1, 8))
    check(load_tflite(model.finish(model.softmax(model.mean(c)), a)), 3, CONFIG)


def test_products_of_several_rows_that_become_images():
    model = ModelBuilder(3)
    x = model.fully_connected(model.input((1, 10)), 30 * 5, per_channel=True)
    check(load_tflite(model.finish(model.conv(model.reshape(x, (1, 5, 6, 5)), 4))), 4, CONFIG)


def constant(model, shape, name="table"):
    return model.constant(np.zeros(shape, np.int8), scale=0.1, zero_point=0, name=name)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda m: m.mean(m.input((3, 4)), (0,)),
            r"^operator 0 \(MEAN, output 't1'\) can't run in batches: it reduces dimension 0$",
        ),
        (lambda m: m.pad(m.input((3, 4)), ((1, 0), (0, 0))), "it pads dimension 0$"),
        (
            lambda m: m.concatenation((m.input((3, 4)),), 0),
            "it joins tensors along dimension 0$",
        ),
        (
            lambda m: m.concatenation((m.input((3, 4), 0.1, 0), constant(m, (3, 4))), 1),
            "one of its inputs is a constant$",
        ),
        (
            lambda m: m.add(m.input((3, 4)), m.input((1, 4))),
            "'t1' is used again along dimension 0$",
        ),
        (
            lambda m: m.mul(m.input((1, 2, 4)), m.input((2, 4))),
            "'t1' is used again along dimension 0$",
        ),
        (
            lambda m: m.add(m.input((3, 4)), constant(m, (3, 4))),
            "constant 'table' differs along dimension 0$",
        ),
        (
            lambda m: m.softmax(m.input((4,))),
            "its input has no dimension but the one that it normalises$",
        ),
        (
            lambda m: m.reshape(m.input((1, 1)), ()),
            "tensor 't1' has no dimension that counts inferences$",
        ),
        (
            lambda m: (m.input((1, 4)), m.reshape(constant(m, (2, 2)), (4, 1)))[1],
            "all of its inputs are constants$",
        ),
        (
            lambda m: (m.input(()), m.softmax(m.input((1, 4))))[1],
            "^tensor 't0' must have at least one dimension to be batched$",
        ),
    ],
)
def test_what_mixes_inferences_is_refused_in_a_sentence(build, message):
    model = ModelBuilder(1)
    graph = load_tflite(model.finish(build(model)))
    with pytest.raises(CelosiaError, match=message):
        batched(graph, 2)


def test_constants_are_used_by_every_inference_where_broadcasting_says_so():
    model = ModelBuilder(1)
    x = model.input((1, 2, 4))
    row = model.constant(np.int8([1, -2, 3, 4]), scale=0.1, zero_point=0)
    plane = model.constant(np.int8([[[5], [6]]]), scale=0.1, zero_point=0)
    graph = load_tflite(model.finish(model.mul(model.add(x, row), plane)))
    values = np.random.default_rng(1).integers(-128, 128, (3, 2, 4), dtype=np.int8)
    (found,) = Interpreter(batched(graph, 3)).run([values])
    single = Interpreter(graph)
    np.testing.assert_array_equal(
        found, np.concatenate([single.run([value[None]])[0] for value in values])
    )


def test_every_kind_of_operator_is_known():
    assert set(OpKind) == batching.KNOWN


@pytest.mark.parametrize("count", [0, -3])
def test_a_batch_is_positive(count):
    with pytest.raises(CelosiaError, match=rf"^batch must be at least 1, not {count}$"):
        compile_model(random_network(1), CONFIG, batch=count)


def test_a_batch_that_is_too_large_is_told_the_largest_that_fits(models_dir):
    path = models_dir / "kws_dscnn_int8.tflite"
    with pytest.raises(
        CelosiaError,
        match=r"^batch of model '\w+' must be at most (\d+) on configuration 'npu8x8', not 1000: "
        r"activations need \d+ bytes of scratchpad, .* scratchpad_kib must be at least \d+$",
    ) as caught:
        compile_model(path, CONFIG, batch=1000)
    largest = int(str(caught.value).split("at most ")[1].split(" ")[0])
    compile_model(path, CONFIG, batch=largest)
    with pytest.raises(CelosiaError, match=rf"at most {largest} on .*, not {largest + 1}: "):
        compile_model(path, CONFIG, batch=largest + 1)


def test_instructions_of_a_batch_may_be_too_many():
    model = ModelBuilder(1)
    data = model.finish(model.conv(model.input((1, 6, 6, 8)), 8))
    with pytest.raises(CelosiaError, match=r"must be at most \d+ on .* bytes of weight memory"):
        compile_model(data, replace(CONFIG, weight_kib=2), batch=100)


def test_a_model_that_does_not_fit_at_all_is_told_so_without_its_batch():
    model = ModelBuilder(1)
    data = model.finish(model.conv(model.input((1, 64, 64, 8)), 8))
    with pytest.raises(CelosiaError, match=r"^activations need 65536 bytes of scratchpad"):
        compile_model(data, replace(CONFIG, scratchpad_kib=33), batch=2)
