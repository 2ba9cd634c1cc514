"""Pruning: blocks that are weight tiles, masks by magnitude, refitted weights, files."""

from dataclasses import replace

import numpy as np
import pytest
from support.random_networks import random_config
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import lower_model
from celosia.compiler.importer import load_tflite
from celosia.compiler.importer.rewrite import replace_constants
from celosia.compiler.layers import MatrixLayer
from celosia.compiler.pruning import (
    blocked_layers,
    magnitude_masks,
    masked,
    read_masks,
    refitted,
    write_masks,
)
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import OpKind
from celosia.golden.interpreter import Interpreter

CONFIG = PRESETS["npu8x8"]


def network(seed=1):
    """Bytes of a network with a packed first layer, a depthwise one and a flattened image."""
    model = ModelBuilder(seed)
    x = model.conv(model.input((1, 12, 10, 3)), 20, stride=(2, 2), activation="RELU")
    x = model.conv(x, 17, activation="RELU")
    x = model.conv(model.depthwise(x), 24, (1, 1), activation="RELU")
    return model.finish(model.fully_connected(model.reshape(x, (1, 720)), 10))


def samples(graph, count, seed=5):
    rng = np.random.default_rng(seed)
    shapes = [graph.tensors[index].shape for index in graph.inputs]
    return [
        [rng.integers(-128, 128, shape, dtype=np.int8) for shape in shapes] for _ in range(count)
    ]


def tiles_with_weights(graph, config):
    """By operator: weight tiles that aren't all zeros."""
    return {
        layer.operator: sum(int(t.weights.any(axis=(1, 2)).sum()) for t in layer.tiles)
        for layer in lower_model(graph, config).layers
        if isinstance(layer, MatrixLayer)
    }


@pytest.mark.parametrize("seed", range(12))
def test_blocks_are_the_weight_tiles(seed):
    graph = load_tflite(network(seed))
    config = random_config(seed)
    layers = blocked_layers(graph, config)
    assert [graph.operators[layer.operator].kind for layer in layers] == [
        *[OpKind.CONV_2D] * 3,
        OpKind.FULLY_CONNECTED,
    ]
    rng = np.random.default_rng(seed)
    masks, left = {}, {}
    for layer in layers:
        dropped = rng.random(layer.count) < 0.4
        masks[layer.weights] = ~dropped[layer.blocks]
        np.testing.assert_array_equal(layer.empty(masks[layer.weights]), dropped)
        left[layer.operator] = layer.count - int(dropped.sum())
    found = tiles_with_weights(masked(graph, masks), config)
    assert {operator: found[operator] for operator in left} == left


def test_shared_weights_have_no_blocks():
    model = ModelBuilder(2)
    x = model.conv(model.input((1, 6, 6, 8)), 8)
    graph = load_tflite(model.finish(model.conv(model.conv(x, 8), 8)))
    first, second, third = graph.operators
    shared = replace(third, inputs=(third.inputs[0], *second.inputs[1:]))
    graph = replace(graph, operators=(first, second, shared))
    assert [layer.operator for layer in blocked_layers(graph, CONFIG)] == [0]


def test_the_blocks_that_weigh_least_go():
    weights = np.full((8, 3, 3, 16), 10)
    weights[:, 0, 1, :8] = 1  # the lightest
    weights[:, 2, 2, 8:] = 2
    model = ModelBuilder(3)
    y = model.conv(model.input((1, 9, 9, 16)), 8, weights=weights, weight_scale=0.01)
    graph = load_tflite(model.finish(y))
    (layer,) = blocked_layers(graph, CONFIG)
    assert layer.count == 18
    for dropped, sparsity in enumerate((0, 1 / 18, 2 / 18)):
        (mask,) = magnitude_masks(graph, [layer], sparsity, {}).values()
        expected = np.ones(weights.shape, bool)
        if dropped > 0:
            expected[:, 0, 1, :8] = False
        if dropped > 1:
            expected[:, 2, 2, 8:] = False
        np.testing.assert_array_equal(mask, expected)


def test_weights_are_compared_as_real_numbers():
    weights = np.full((16, 1, 1, 16), 10)
    weights[8:] = 20
    scale = np.where(np.arange(16) < 8, 1.0, 0.1)
    model = ModelBuilder(4)
    y = model.conv(
        model.input((1, 9, 9, 16)), 16, (1, 1), weights=weights, weight_scale=scale * 0.01
    )
    graph = load_tflite(model.finish(y))
    (layer,) = blocked_layers(graph, CONFIG)
    (mask,) = magnitude_masks(graph, [layer], 0.25, {}).values()
    assert mask[:8].all()
    assert mask[8:].sum() == 64


@pytest.mark.parametrize("sparsity", [0.3, 0.6, 1])
def test_each_layer_has_its_share_and_each_column_tile_keeps_a_block(sparsity):
    graph = load_tflite(network())
    layers = blocked_layers(graph, CONFIG)
    masks = magnitude_masks(graph, layers, sparsity, {})
    for layer in layers:
        empty = layer.empty(masks[layer.weights])
        most = layer.count - len(np.unique(layer.columns))
        assert empty.sum() == min(int(sparsity * layer.count + 0.5), most)
        assert set(layer.columns[~empty]) == set(layer.columns)


def test_magnitude_counts_what_a_mask_has_emptied():
    graph = load_tflite(network())
    layer = blocked_layers(graph, CONFIG)[1]
    given = {layer.weights: ~np.isin(layer.blocks, [3, 4, 5])}
    masks = magnitude_masks(graph, [layer], 3 / layer.count, given)
    np.testing.assert_array_equal(masks[layer.weights], given[layer.weights])


def test_nothing_pruned_is_nothing_refitted():
    graph = load_tflite(network())
    for before, after in zip(
        graph.tensors, refitted(graph, {}, samples(graph, 8)).tensors, strict=True
    ):
        if before.data is not None:
            np.testing.assert_array_equal(before.data, after.data)


def test_refitted_networks_are_closer_to_the_original():
    graph = load_tflite(network())
    masks = magnitude_masks(graph, blocked_layers(graph, CONFIG)[1:-1], 0.4, {})
    fitted = refitted(graph, masks, samples(graph, 24))
    for index, mask in masks.items():
        assert not fitted.tensors[index].data[~mask].any()
    runs = [Interpreter(each) for each in (graph, masked(graph, masks), fitted)]
    wanted, plain, better = (
        np.array([run.run(sample)[0] for sample in samples(graph, 24, seed=6)], np.float64)
        for run in runs
    )
    assert np.square(better - wanted).mean() < 0.5 * np.square(plain - wanted).mean()


def test_layers_without_a_bias_of_their_own_are_refitted_without():
    model = ModelBuilder(5)
    x = model.conv(model.input((1, 8, 8, 16)), 16, activation="RELU")
    graph = load_tflite(model.finish(model.conv(x, 16, bias=False)))
    masks = magnitude_masks(graph, blocked_layers(graph, CONFIG), 0.4, {})
    fitted = refitted(graph, masks, samples(graph, 8))
    index = graph.operators[1].inputs[1]
    mask = masks[index]
    before, after = graph.tensors[index].data, fitted.tensors[index].data
    assert not after[~mask].any()
    assert (after[mask] != before[mask]).any()


def test_a_file_has_other_bytes_only_in_the_constants_that_change():
    data = network()
    graph = load_tflite(data)
    layer = blocked_layers(graph, CONFIG)[1]
    bias = graph.operators[layer.operator].inputs[2]
    values = {
        layer.weights: -graph.tensors[layer.weights].data,
        bias: graph.tensors[bias].data + 1,
    }
    changed = replace_constants(data, values)
    assert len(changed) == len(data)
    differing = np.flatnonzero(np.frombuffer(changed, np.uint8) != np.frombuffer(data, np.uint8))
    assert 0 < differing.size <= values[layer.weights].size + 4 * values[bias].size
    for index, (before, after) in enumerate(
        zip(graph.tensors, load_tflite(changed).tensors, strict=True)
    ):
        if before.data is not None:
            np.testing.assert_array_equal(after.data, values.get(index, before.data))


def test_tensors_that_share_bytes_are_not_rewritten():
    model = ModelBuilder(6)
    weights = model.rng.integers(-9, 10, (8, 3, 3, 8))
    x = model.conv(model.input((1, 8, 8, 8)), 8, weights=weights)
    y = model.conv(x, 8, weights=weights)
    first, second = (operator.inputs[1] for operator in model.operators)
    model.tensors[second].buffer = model.tensors[first].buffer
    data = model.finish(y)
    with pytest.raises(CelosiaError, match="must have bytes of its own in the file"):
        replace_constants(data, {first: np.zeros((8, 3, 3, 8), np.int8)})


def test_masks_survive_their_file(tmp_path):
    graph = load_tflite(network())
    masks = magnitude_masks(graph, blocked_layers(graph, CONFIG), 0.5, {})
    tensors = list(graph.tensors)
    index = min(masks)
    tensors[index] = replace(
        tensors[index], name="file"
    )  # a name that numpy's writer has no use for
    graph = replace(graph, tensors=tuple(tensors))
    for path in (tmp_path / "a.npz", tmp_path / "b.npz"):
        write_masks(path, graph, masks)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = read_masks(tmp_path / "a.npz", graph)
    assert found.keys() == masks.keys()
    for index, mask in masks.items():
        np.testing.assert_array_equal(found[index], mask)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weights1": np.ones((2, 2), bool)}, r"of 'weights1' must have shape \(17, 3, 3, 20\)"),
        ({"weights1": np.ones((17, 3, 3, 20))}, "of 'weights1' must be boolean, not float64"),
        ({"bias1": np.ones(17, bool)}, r"weights tensors \(weights0, weights1, .*not of 'bias1'"),
    ],
)
def test_masks_that_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(CelosiaError, match=message):
        read_masks(tmp_path / "m.npz", load_tflite(network()))


def test_mask_files_that_are_refused(tmp_path):
    graph = load_tflite(network())
    with pytest.raises(CelosiaError, match=r"can't read masks .*: No such file"):
        read_masks(tmp_path / "none.npz", graph)
    (tmp_path / "m.npz").write_bytes(b"PK\3\4 not an archive")
    with pytest.raises(CelosiaError, match=r"must be a whole \.npz file of arrays"):
        read_masks(tmp_path / "m.npz", graph)
    np.save(tmp_path / "m.npy", np.ones(3, bool))
    with pytest.raises(CelosiaError, match=r"must be a whole \.npz file of arrays"):
        read_masks(tmp_path / "m.npy", graph)
    tensors = [replace(t, name="same") for t in graph.tensors]
    np.savez(tmp_path / "m.npz", same=np.ones((20, 3, 3, 3), bool))
    with pytest.raises(CelosiaError, match="'same' must be the only one of that name"):
        read_masks(tmp_path / "m.npz", replace(graph, tensors=tuple(tensors)))
