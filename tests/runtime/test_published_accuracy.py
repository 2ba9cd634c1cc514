"""Accuracy against programming error, beside what is published of another digits network.

CrossSim's ISCA 2024 tutorial (tutorial/ISCA2024/isca24_codesign.ipynb) has a small convolutional
network for MNIST with a programming error of 0.3 of each conductance: 98.98 % exact, 93.74 % on the
crossbar (standard deviation 1.15), and 97.62 % (0.22) trained with such errors: 5.2 points lost, of
which training wins three quarters back. Ours is another network, so that its losses may be others;
that they grow the same way, and are won back the same way, is what is held here.
"""

import functools

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from celosia.golden.config import load_config
from celosia.golden.crossbar.devices.load import device_from_mapping
from celosia.runtime.crossbar.accuracy import Conditions, Remedies
from celosia.runtime.crossbar.subjects import Subject, noise_aware_graph, samples_for
from celosia.runtime.crossbar.sweeps import NOTHING_DONE
from celosia.runtime.session import EMBEDDED, open_model

SEEDS = range(1, 6)
SAMPLES = 50
PUBLISHED_LOSS = 5.24
PUBLISHED_WON_BACK = 0.74


@functools.cache
def subject(noise_aware):
    graph, _ = open_model(EMBEDDED)
    taken = samples_for(EMBEDDED, graph, SAMPLES, None, None)
    if noise_aware:
        graph = noise_aware_graph(EMBEDDED, None)
    return Subject(graph, taken, (), load_config("npu8x8"))


@functools.cache
def network(noise_aware):
    return subject(noise_aware).network()


@functools.cache
def losses(error, noise_aware=False, remedies=NOTHING_DONE):
    """Points lost with each seed."""
    device = device_from_mapping(
        {"base": "ideal", "programming_error": {"polynomial": [0.0, error]}}
    )
    found = [
        network(noise_aware).accuracy(Conditions(device=device), remedies, seed) for seed in SEEDS
    ]
    lost = 100 * (subject(noise_aware).int8 - np.array(found))
    print(f"error {error}, noise-aware {noise_aware}, seeds {list(SEEDS)}: lost {lost}")
    return lost


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def test_losses_grow_as_published_and_training_wins_most_back():
    assert subject(False).int8 >= 0.98
    assert subject(True).int8 >= 0.98
    small, medium, large = (losses(error).mean() for error in (0.1, 0.2, 0.3))
    trained = losses(0.3, noise_aware=True).mean()
    assert abs(small) <= 1
    assert small < medium < large
    # The published loss lies between ours at 0.2 and at 0.3, and ours at 0.3 is no other order.
    assert medium < PUBLISHED_LOSS < large < 3 * PUBLISHED_LOSS
    assert 1 - trained / large >= PUBLISHED_WON_BACK


def test_calibrated_columns_win_most_back_too():
    raw = losses(0.3)
    calibrated = losses(0.3, remedies=Remedies(columns=True))
    assert calibrated.mean() < 0.35 * raw.mean()
    assert calibrated.std() < raw.std()
