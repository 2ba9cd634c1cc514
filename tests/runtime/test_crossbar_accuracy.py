"""Networks on crossbar tiles: what remedies do to the tiles."""

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.golden.config import load_config
from celosia.golden.crossbar.corrections import CORRECTION_FRACTION
from celosia.golden.crossbar.devices.load import device_from_mapping
from celosia.runtime.crossbar.accuracy import Conditions, Remedies
from celosia.runtime.crossbar.subjects import Samples, Subject

STUCK = device_from_mapping({"base": "ideal", "faults": {"stuck_low": 0.03, "stuck_high": 0.03}})


@pytest.fixture(scope="module")
def network():
    model = ModelBuilder(5)
    x = model.conv(model.input((1, 6, 6, 8), zero_point=-128), 8, (3, 3))
    graph = load_tflite(model.finish(x))
    samples = Samples(
        [np.random.default_rng(1).integers(-128, 128, (4, 6, 6, 8)).astype(np.int8)], None
    )
    return Subject(graph, samples, (), load_config("npu8x8")).network()


def gains(network, remedies):
    tiles = network.tiles(Conditions(device=STUCK, adc_bits=12), remedies, 1)
    corrections = tiles._corrections
    return np.concatenate([c.gain for c in corrections]) / (1 << CORRECTION_FRACTION)


def test_calibration_leaves_what_makes_up_for_stuck_cells(network):
    # Cells that are stuck high, and weren't meant, look like columns of a gain too high.
    assert np.abs(gains(network, Remedies(columns=True)) - 1).max() > 0.2
    assert np.abs(gains(network, Remedies(columns=True, remapped=True)) - 1).max() < 0.01
