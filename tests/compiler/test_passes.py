"""Passes of a column tile: those of zeros are skipped where that is cheaper."""

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.costs import matmul_cycles
from celosia.compiler.layers import MatmulWork, PassBox
from celosia.compiler.lowering.passes import choose_boxes
from celosia.golden.config import PRESETS
from celosia.golden.isa import LoadWeights, Matmul, MatrixLoop, Semaphore

CONFIG = PRESETS["npu8x8"]


def run_by(boxes, shape):
    """How often each pass is run."""
    counts = np.zeros(shape, int)
    for box in boxes:
        counts[tuple(slice(a, a + n) for a, n in zip(box.first, box.size, strict=True))] += 1
    return counts


def test_every_needed_pass_is_run_once():
    rng = np.random.default_rng(1)
    for _ in range(300):
        shape = tuple(int(n) for n in rng.integers(1, 6, 3))
        needed = rng.random(shape) < rng.random()
        pixels = int(rng.choice([1, 9, 100]))
        counts = run_by(choose_boxes(needed, pixels, CONFIG), shape)
        assert counts.max() == 1
        assert (counts[needed] == 1).all()
        if needed.any() and pixels == 100:
            np.testing.assert_array_equal(counts, needed)


def test_a_tile_of_zeros_is_run_once():
    assert choose_boxes(np.zeros((3, 3, 2), bool), 64, CONFIG) == (
        PassBox(first=(0, 0, 0), size=(1, 1, 1)),
    )


def test_short_passes_are_skipped_where_that_saves_more_than_instructions_take():
    needed = np.ones((1, 1, 40), bool)
    needed[..., [1, 4, 8, 13, 19, 26, 34]] = False  # runs of every length
    # Passes of one vector, on an array whose instructions take as long to fetch as a tile.
    small = PRESETS["npu4x4"]
    assert len(choose_boxes(needed, 1, small)) == 1
    assert len(choose_boxes(needed, 64, small)) > 1
    needed[..., :20] = False
    np.testing.assert_array_equal(run_by(choose_boxes(needed, 1, small), needed.shape), needed)


@pytest.mark.parametrize("pixels", [1, 64])
def test_the_cheapest_form_is_chosen(pixels):
    rng = np.random.default_rng(2)
    for _ in range(100):
        needed = rng.random((3, 3, 4)) < rng.random()
        needed[1, 1, 1] = True
        whole = (PassBox(first=(0, 0, 0), size=(3, 3, 4)),)
        single = tuple(
            PassBox(first=tuple(p), size=(1, 1, 1)) for p in np.argwhere(needed).tolist()
        )
        cycles = [
            matmul_cycles(CONFIG, MatmulWork.of(boxes), pixels)
            for boxes in (choose_boxes(needed, pixels, CONFIG), whole, single)
        ]
        assert cycles[0] == min(cycles)


def test_zeros_are_neither_stored_nor_loaded():
    weights = np.random.default_rng(3).integers(1, 100, (16, 3, 3, 16))
    holes = weights.copy()
    holes[:8, 1, :, :8] = 0
    holes[8:, 0] = 0
    programs = []
    for values in (weights, holes):
        model = ModelBuilder(3)
        y = model.conv(model.input((1, 12, 12, 16)), 16, weights=values)
        programs.append(compile_model(model.finish(y), CONFIG))
    dense, sparse = programs
    # Two column tiles of 3 x 3 x 2 passes, less 3 of one and 6 of the other.
    assert [program.layers[0].passes for program in programs] == [36, 27]
    listings = [
        [i for _, i in disassemble(CONFIG, program.image, program.start)] for program in programs
    ]
    chunks = sum(bool(i.signal & Semaphore.ACCUMULATED) for i in listings[1]) // 2
    loaded = [sum(i.tiles for i in each if isinstance(i, LoadWeights)) for each in listings]
    assert loaded == [36 * chunks, 27 * chunks]
    assert dense.start - sparse.start == 9 * 8  # vectors of constants
    for listing in listings:
        check_signals([i for i in listing if isinstance(i, Matmul)])


def check_signals(matmuls):
    """Of the MATMULs of a tile the first overwrites and the last signals."""
    first = True
    for matmul in matmuls:
        assert matmul.accumulate == (not first)
        assert not (matmul.wait & Semaphore.DRAINED and matmul.accumulate)
        first = bool(matmul.signal & Semaphore.ACCUMULATED)
    assert first


def test_loops_are_set_only_where_they_change():
    weights = np.random.default_rng(4).integers(1, 100, (8, 3, 3, 24))
    weights[:, 1, 1] = weights[:, :, :, 8:16] = 0
    model = ModelBuilder(4)
    y = model.conv(model.input((1, 8, 8, 24)), 8, weights=weights)
    program = compile_model(model.finish(y), CONFIG)
    listing = [i for _, i in disassemble(CONFIG, program.image, program.start)]
    assert program.layers[0].passes == 16
    assert sum(isinstance(i, MatrixLoop) for i in listing) == 5
    chunks = sum(bool(i.signal & Semaphore.ACCUMULATED) for i in listing)
    assert sum(isinstance(i, Matmul) for i in listing) == 16 * chunks
