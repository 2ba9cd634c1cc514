"""The status port: where words stand, and what they say."""

import numpy as np
import pytest

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode
from celosia.golden.crossbar.mvm import Telemetry
from celosia.golden.crossbar.programming import CellResults
from celosia.golden.crossbar.telemetry import (
    COUNTED_RESULTS,
    RESULT_BASE,
    WEAR_BITS,
    Counter,
    StatusRegion,
    TelemetryTwin,
    line_words,
    status_address_bits,
    status_regions,
)

CONFIG = CrossbarConfig(tiles=2, rows=8, outputs=4, spares=2, cell_bits=2, adcs=4)


@pytest.mark.parametrize(
    "config", [CONFIG, CrossbarConfig(), CrossbarConfig(tiles=1024, rows=256, outputs=64)]
)
def test_regions_are_aligned_and_apart(config):
    free = 0
    for places in status_regions(config).values():
        assert places.start >= free
        assert places.start % (1 << (len(places) - 1).bit_length()) == 0
        free = places.stop
    assert free <= 1 << status_address_bits(config)
    assert 32 * line_words(config) >= config.columns


def test_results_have_counters_of_their_names():
    assert [Counter(RESULT_BASE + result).name for result in COUNTED_RESULTS] == [
        result.name for result in COUNTED_RESULTS
    ]


def results_of(*outcomes):
    rows, columns, result = np.array(outcomes).T
    nothing = np.zeros(len(outcomes), np.int64)
    return CellResults(rows, columns, result, *[nothing] * 4)


def test_words_of_a_small_history():
    twin = TelemetryTwin(CONFIG)
    cells = np.array([3, 3, 5])
    twin.pulses(1, cells, BiasMode.SET, np.array([400, 10, 1]), 255)
    twin.pulses(1, np.array([5]), BiasMode.FORM, np.array([1 << 33]), 1)
    twin.cells(Command.PROGRAM, 1, results_of((3, 47, Result.TIMEOUT), (3, 0, Result.CONVERGED)))
    twin.uncalibrated[1, 33] = True
    words = twin.words(Telemetry(products=9, probes=4, integrations=50, reissues=2, saturations=1))
    expected = {
        Counter.SET_PULSES: 3,
        Counter.FORM_PULSES: 1,
        Counter.PRODUCTS: 5,
        Counter.PROBES: 4,
        Counter.INTEGRATIONS: 50,
        Counter.REISSUES: 2,
        Counter.SATURATIONS: 1,
        Counter.DRIVE_LOW: 411 * 255,
        Counter.DRIVE_HIGH: 2,
        Counter.CONVERGED: 1,
        Counter.TIMEOUT: 1,
    }
    counters = words[StatusRegion.COUNTERS].tolist()
    assert counters == [expected.get(place, 0) for place in range(32)]
    assert words[StatusRegion.WEAR].tolist() == [0] * 8 + [0, 0, 0, 2, 0, 2, 0, 0]
    lines = words[StatusRegion.MAP].reshape(2, 9, 2)
    assert np.argwhere(lines).tolist() == [[1, 3, 1], [1, 8, 1]]
    assert (lines[1, 3, 1], lines[1, 8, 1]) == (1 << 15, 2)
    twin.clear()
    twin.renew(1)
    assert all(not words.any() for words in twin.words(Telemetry()).values())


def test_wear_stays_at_its_end():
    twin = TelemetryTwin(CONFIG)
    twin.wear[0, 2] = (1 << WEAR_BITS) - 2
    for _ in range(3):
        twin.pulses(0, np.array([2]), BiasMode.RESET, np.array([1]), 1)
    assert twin.words(Telemetry())[StatusRegion.WEAR][2] == (1 << WEAR_BITS) - 1


def test_only_a_test_takes_cells_out_of_the_map():
    twin = TelemetryTwin(CONFIG)
    twin.cells(Command.FORM, 0, results_of((1, 2, Result.UNFORMED), (1, 3, Result.UNFORMED)))
    twin.cells(Command.PROGRAM, 0, results_of((1, 2, Result.CONVERGED), (1, 4, Result.ABORTED)))
    twin.cells(Command.READ, 0, results_of((1, 2, Result.CONVERGED)))
    assert np.argwhere(twin.defects[0]).tolist() == [[1, 2], [1, 3]]
    twin.cells(Command.BIST, 0, results_of((1, 2, Result.CONVERGED), (1, 3, Result.ABORTED)))
    assert np.argwhere(twin.defects[0]).tolist() == [[1, 3]]
    twin.cells(Command.SCRUB, 0, results_of((2, 2, Result.STUCK_HIGH)))
    assert np.argwhere(twin.defects[0]).tolist() == [[1, 3], [2, 2]]
