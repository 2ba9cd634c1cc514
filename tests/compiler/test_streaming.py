"""Networks in pieces equal the interpreter, however they are cut."""

from dataclasses import replace

import numpy as np
import pytest
from support.random_networks import cramped, random_config, random_network
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.compiler.program import HostStage, Program
from celosia.compiler.program_file import decode_program, encode_program
from celosia.compiler.streaming import StreamedProgram, compile_network, compile_streamed
from celosia.compiler.streaming.boxes import CannotCut
from celosia.compiler.streaming.segment import cut, segment_of
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.interpreter import Interpreter
from celosia.golden.rounding import RoundingProfile
from celosia.runtime.streaming import StreamedDevice

PROFILES = list(RoundingProfile)


def tiny(scratchpad_kib=1, weight_kib=4, base="npu4x4"):
    return replace(
        PRESETS[base],
        name="tiny",
        scratchpad_kib=scratchpad_kib,
        weight_kib=weight_kib,
        profiles=tuple(PROFILES),
    )


def random_inputs(streamed, seed):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, tensor.shape, dtype=np.int8)
        for tensor in streamed.signature_inputs.values()
    ]


def random_sample(streamed, seed):
    """Inputs of one inference."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, t.shape, dtype=np.int8) for t in streamed.sample_inputs]


def on_machine(streamed, inputs):
    device = StreamedDevice(streamed, "golden", range(len(streamed.pieces)))
    return device.run([inputs]).outputs[0]


def assert_equal(found, expected):
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


def check(model, *outputs, config=None, profile=RoundingProfile.TFLM):
    """A network in pieces on the golden machine, against interpreter and referee."""
    data = model.finish(*outputs)
    graph = load_tflite(data)
    streamed = compile_streamed(graph, config or tiny(), profile)
    inputs = random_inputs(streamed, model.seed)
    found = on_machine(streamed, inputs)
    assert_equal(found, Interpreter(graph, profile).run(inputs))
    if profile is RoundingProfile.TFLM:
        assert_equal(found, Referee(data).run(inputs, len(outputs)))
    return streamed


def cut_axes(streamed):
    """Axes of tensors along which pieces make only a part."""
    tensors = {**streamed.tensors, **streamed.signature_outputs}
    return {
        axis
        for piece in streamed.pieces
        for tensor, box in piece.outputs
        for axis, (extent, part) in enumerate(zip(tensors[tensor].shape, box.shape, strict=True))
        if part < extent
    }


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_random_networks_in_cramped_memories(first):
    streams = 0
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        profile = PROFILES[seed % len(PROFILES)]
        try:
            streamed = compile_streamed(graph, cramped(random_config(seed), seed), profile)
        except DoesNotFit as error:
            assert "can't be cut small enough" in str(error)  # noqa: PT017
            continue
        inputs = random_inputs(streamed, seed)
        assert_equal(on_machine(streamed, inputs), Interpreter(graph, profile).run(inputs))
        streams += len(streamed.pieces) > 1
    assert streams >= 8


@pytest.mark.parametrize("first", range(0, 20, 20))
def test_random_networks_equal_the_referee(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        data = random_network(seed)
        graph = load_tflite(data)
        try:
            streamed = compile_streamed(graph, cramped(random_config(seed), seed))
        except DoesNotFit:
            continue
        inputs = random_inputs(streamed, seed)
        expected = Referee(data).run(inputs, len(graph.outputs))
        assert_equal(on_machine(streamed, inputs), expected)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_batches_of_random_networks(first):
    streams = 0
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        config, batch = cramped(random_config(seed), seed), 2 + seed % 3
        try:
            streamed = compile_streamed(graph, config, batch=batch)
        except DoesNotFit:
            continue
        samples = [random_sample(streamed, 10 * seed + n) for n in range(batch + 1)]
        golden = Interpreter(graph)
        device = StreamedDevice(streamed, "golden", range(len(streamed.pieces)))
        # The second run isn't full.
        for sample, outputs in zip(samples, device.run(samples).outputs, strict=True):
            assert_equal(outputs, golden.run(sample))
        streams += len(streamed.pieces) > 1
    assert streams >= 8


def test_what_fits_is_one_program():
    assert isinstance(compile_network(random_network(1), random_config(1)), Program)


def test_rows_are_cut_and_equal_strips_share_a_program():
    model = ModelBuilder(1)
    x = model.input((1, 80, 8, 4))
    y = model.conv(x, 4, (3, 3), padding="SAME", activation="RELU")
    streamed = check(model, y)
    assert cut_axes(streamed) == {1}
    assert len(streamed.programs) == 3 < len(streamed.pieces)
    # Strips overlap by what the kernel reaches beyond its own rows.
    spans = [piece.inputs[0][1].spans[1] for piece in streamed.pieces]
    assert all(span[0] < end for span, (_, end) in zip(spans[1:], spans[:-1], strict=True))


def test_columns_are_cut_where_single_rows_are_too_large():
    model = ModelBuilder(2)
    x = model.input((1, 5, 200, 8))
    y = model.depthwise(x, (3, 5), stride=(2, 2), padding="SAME")
    assert cut_axes(check(model, y)) == {1, 2}


def test_channels_are_cut_where_weights_are_too_large():
    model = ModelBuilder(3)
    x = model.input((1, 2, 2, 64))
    y = model.conv(x, 70, (1, 1))
    streamed = check(model, y, config=tiny(weight_kib=2))
    assert cut_axes(streamed) == {3}
    model = ModelBuilder(4)
    z = model.fully_connected(model.input((1, 100)), 50, per_channel=True)
    assert cut_axes(check(model, z)) == {1}


def test_channels_of_pools_means_and_sums_are_cut():
    model = ModelBuilder(5)
    x, y = model.input((1, 9, 7, 40)), model.input((1, 9, 7, 40))
    outputs = (
        model.pool(x, "MAX", (9, 7)),
        model.pool(x, "AVERAGE", (9, 7)),
        model.mean(x),
        model.mul(model.mean(x, keep_dims=True), y),
    )
    assert 3 in cut_axes(check(model, *outputs))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_expansion_depthwise_and_projection_share_strips(stride, padding):
    model = ModelBuilder(6 + stride)
    x = model.input((1, 21, 11, 4))
    a = model.conv(x, 16, (1, 1), activation="RELU6")
    b = model.depthwise(a, (5, 5), stride=(stride, stride), padding=padding, activation="RELU6")
    c = model.conv(b, 4, (1, 1))
    streamed = check(model, c, config=tiny(scratchpad_kib=4, weight_kib=12))
    assert max(len(numbers) for numbers in streamed.layer_numbers) == 3
    assert cut_axes(streamed) >= {1}


def test_a_residual_sum_takes_what_a_piece_before_has_made():
    model = ModelBuilder(10)
    x = model.conv(model.input((1, 12, 10, 3)), 8, (3, 3), stride=(1, 1))
    y = model.conv(model.depthwise(model.conv(x, 24, (1, 1)), (3, 3)), 8, (1, 1))
    z = model.add(x, y)
    streamed = check(model, model.conv(z, 5, (3, 3), stride=(2, 2)), z, config=tiny(2, 6))
    taken = [tensor for piece in streamed.pieces for tensor, _ in piece.inputs]
    assert len(streamed.pieces) > 4
    assert len(set(taken)) < len(taken)


def test_reshapes_between_pieces_are_the_hosts():
    model = ModelBuilder(11)
    x = model.conv(model.input((1, 12, 12, 8)), 8, (3, 3))
    y = model.fully_connected(model.reshape(x, (1, 12 * 12 * 8)), 9)
    streamed = check(model, model.softmax(y), config=tiny(2, 6))
    kinds = [type(step) for step in streamed.steps]
    assert kinds.count(HostStage) >= 2
    model = ModelBuilder(12)
    x = model.conv(model.input((1, 12, 12, 4)), 8, (3, 3))
    z = model.fully_connected(model.reshape(x, (16, 72)), 40)
    check(model, z, config=tiny(2, 4))


@pytest.mark.parametrize(
    "move",
    [
        lambda model, x: model.slice(x, (0, 2, 1, 0), (1, 15, 6, 8)),
        lambda model, x: model.slice(x, (0, 0, 0, 4), (1, 20, 8, 4)),
        lambda model, x: model.strided_slice(x, (0, 0, 0, 0), (1, 20, 8, 8), (1, 2, 2, 1)),
        lambda model, x: model.transpose(x, (0, 2, 1, 3)),
    ],
)
def test_what_only_moves_bytes_is_the_hosts_where_it_is_too_large(move):
    model = ModelBuilder(24)
    x = model.conv(model.input((1, 20, 8, 4)), 8)
    streamed = check(model, model.conv(move(model, x), 5), config=tiny(1, 6))
    assert HostStage in [type(step) for step in streamed.steps]
    decoded = decode_program(encode_program(streamed))
    inputs = random_inputs(streamed, 1)
    assert_equal(on_machine(decoded, inputs), on_machine(streamed, inputs))


def test_concatenations_are_cut_with_their_rows():
    model = ModelBuilder(25)
    x = model.input((1, 20, 8, 4))
    parts = [model.conv(x, 8, output_scale=0.1, output_zero_point=3) for _ in range(2)]
    streamed = check(model, model.conv(model.concatenation(parts), 6), config=tiny(1, 6))
    assert HostStage not in [type(step) for step in streamed.steps]


def test_padding_is_cut_with_its_image():
    model = ModelBuilder(13)
    x = model.input((1, 20, 9, 6))
    y = model.pad(x, ((0, 0), (2, 3), (1, 0), (0, 0)))
    z = model.pool(y, "MAX", (3, 3), stride=(2, 2))
    check(model, z, model.conv(y, 5, (3, 3), padding="VALID"))


def test_several_images_and_outputs_within_a_segment():
    model = ModelBuilder(14)
    x = model.input((2, 16, 6, 5))
    a = model.conv(x, 8, (3, 3), activation="RELU")
    b = model.conv(a, 8, (3, 3), stride=(2, 2))
    check(model, b, a, config=tiny(2, 6))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rounding_profile(profile):
    model = ModelBuilder(15)
    x = model.conv(model.input((1, 16, 10, 3)), 12, (3, 3), activation="RELU")
    y = model.add(x, model.conv(x, 12, (1, 1)))
    check(model, model.fully_connected(model.mean(y), 4), config=tiny(2, 8), profile=profile)


STAGES = (
    (1, 4, 1, 1, 3),
    (6, 6, 2, 2, 3),
    (6, 10, 2, 2, 5),
    (6, 20, 3, 2, 3),
    (6, 28, 2, 1, 5),
    (6, 48, 2, 2, 5),
)
"""Expansion, channels, repetitions, stride and kernel of a small EfficientNet-Lite's stages."""


def test_a_small_efficientnet():
    model = ModelBuilder(23)
    x = model.conv(model.input((1, 48, 48, 3)), 8, stride=(2, 2), activation="RELU6")
    for expansion, channels, repetitions, first_stride, kernel in STAGES:
        for repetition in range(repetitions):
            y, stride = x, 1 if repetition else first_stride
            if expansion > 1:
                wide = expansion * model.shape(x)[3]
                y = model.conv(x, wide, (1, 1), activation="RELU6")
            y = model.depthwise(y, (kernel,) * 2, stride=(stride,) * 2, activation="RELU6")
            y = model.conv(y, channels, (1, 1))
            x = model.add(x, y) if model.shape(x) == model.shape(y) else y
    x = model.pool(model.conv(x, 200, (1, 1)), "AVERAGE", model.shape(x)[1:3])
    streamed = check(model, model.softmax(model.fully_connected(x, 20)), config=tiny(4, 12))
    assert {1, 3} <= cut_axes(streamed)


def test_macs_are_those_of_the_network():
    model = ModelBuilder(16)
    x = model.input((1, 20, 10, 4))
    y = model.conv(model.conv(x, 8, (3, 3)), 8, (3, 3))
    streamed = check(model, y, config=tiny(2, 6))
    macs = [20 * 10 * 8 * 9 * 4, 20 * 10 * 8 * 9 * 8]
    assert [layer.macs for layer in streamed.layers] == macs
    assert streamed.macs == sum(macs)


def test_the_same_network_gives_the_same_pieces():
    model = ModelBuilder(17)
    data = model.finish(model.conv(model.input((1, 40, 8, 4)), 4))
    first, second = (compile_network(data, tiny()) for _ in range(2))
    assert isinstance(first, StreamedProgram)
    assert first.steps == second.steps
    assert [p.image for p in first.programs] == [p.image for p in second.programs]


def test_host_memory_holds_only_what_is_still_needed():
    model = ModelBuilder(18)
    x = model.input((1, 40, 8, 4))
    y = model.conv(model.conv(x, 4, (3, 3)), 4, (3, 3), stride=(2, 2))
    streamed = compile_network(model.finish(y), tiny())
    values = streamed.begin(random_inputs(streamed, 1))
    for position in range(len(streamed.steps)):
        streamed.release(position, values)
    assert not values


def test_a_wrong_strip_is_found():
    model = ModelBuilder(19)
    graph = load_tflite(model.finish(model.conv(model.input((1, 40, 8, 4)), 4)))
    streamed = compile_network(graph, tiny())
    inputs = random_inputs(streamed, 1)
    expected = Interpreter(graph).run(inputs)
    assert_equal(on_machine(streamed, inputs), expected)
    middle = streamed.pieces[1]
    ((tensor, box),) = middle.inputs
    first, end = box.spans[1]
    shifted = replace(middle, inputs=((tensor, box.with_span(1, (first - 1, end - 1))),))
    steps = [shifted if step is middle else step for step in streamed.steps]
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_equal(on_machine(replace(streamed, steps=tuple(steps)), inputs), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda model: model.fully_connected(model.input((1, 3000)), 5),
            r"operator 0 \(FULLY_CONNECTED, output 't\d'\) can't be cut small enough for "
            r"configuration 'tiny': the smallest part of its output, 1 × 4, needs about \d+ bytes "
            r"of scratchpad and \d+ of weight memory, where there are 1024 and 4096",
        ),
        (
            lambda model: model.mean(model.input((1, 40, 40, 3))),
            r"operator 0 \(MEAN, .* the smallest part of its output, 1 × 3, needs",
        ),
        (
            lambda model: model.conv(model.input((1, 30, 30, 9)), 4, (15, 15), padding="VALID"),
            r"operator 0 \(CONV_2D, .* the smallest part of its output, 1 × 1 × 1 × 4, needs",
        ),
    ],
)
def test_what_cannot_be_cut_small_enough_is_refused(build, message):
    model = ModelBuilder(20)
    with pytest.raises(DoesNotFit, match=message):
        compile_network(model.finish(build(model)), tiny())


def test_what_the_npu_has_not_is_refused_as_ever():
    model = ModelBuilder(21)
    x = model.conv(model.input((1, 40, 8, 4)), 4)
    with pytest.raises(CelosiaError, match=r"\(SOFTMAX, .* stands between operators of the NPU"):
        compile_network(model.finish(model.conv(model.softmax(x), 4)), tiny())


def test_two_boxes_of_an_inner_tensor_cannot_be():
    model = ModelBuilder(22)
    x = model.conv(model.input((1, 8, 8, 4)), 4, (1, 1))
    graph = load_tflite(model.finish(model.add(x, model.conv(x, 4, (3, 3)))))
    with pytest.raises(CannotCut):
        cut(segment_of(graph, (0, 1, 2), 0, 3, graph.outputs), {1: (2, 4)})
    # From outside they are two inputs.
    part = cut(segment_of(graph, (0, 1, 2), 1, 3, graph.outputs), {1: (2, 4)})
    assert [box.spans[1] for _, box in part.taken] == [(1, 5), (2, 4)]
