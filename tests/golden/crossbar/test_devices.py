"""Cells of devices: draws, pulses, reads, time and wear."""

import dataclasses

import numpy as np
import pytest

from celosia.golden.crossbar.devices.cells import DeviceCells, Polarity
from celosia.golden.crossbar.devices.curves import Curve, Shape
from celosia.golden.crossbar.devices.device import Conduction
from celosia.golden.crossbar.devices.draws import Purpose, normals, uniforms
from celosia.golden.crossbar.devices.lifetime import Endurance, Faults
from celosia.golden.crossbar.devices.load import PRESETS, load_device

RADAR = load_device("hfox-radar")
SPOTLESS = dataclasses.replace(RADAR, faults=Faults())
NS = 1e-9


def cells_of(device, count, seed=1):
    cells = DeviceCells(device, count, seed)
    cells.form()
    return cells


def pulse(cells, polarity, gate_v, line_v, which=None, width_s=200 * NS):
    which = np.arange(len(cells)) if which is None else which
    volts = np.ones(len(which))
    cells.pulse(polarity, which, gate_v * volts, line_v * volts, width_s)


def without_spread(device):
    """The device with its spreads taken out: what its equations say."""
    return dataclasses.replace(
        device,
        faults=Faults(),
        read_noise=Curve(Shape.POLYNOMIAL, (0.0,)),
        set=dataclasses.replace(
            device.set, gate_sigma_v=0.0, limit_spread=0.0, pulse_sigma_v=0.0, jump_sigma_v=0.0
        ),
        reset=dataclasses.replace(
            device.reset, line_sigma_v=0.0, device_spread=0.0, cycle_spread=0.0, pulse_spread=0.0
        ),
    )


def test_draws_are_these_on_every_machine():
    # Worked in Python's integers: SplitMix64's finaliser over seed and purpose, cell and access.
    mask = 2**64 - 1

    def mix(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    step = 0x9E3779B97F4A7C15
    for seed, purpose, cell, access in [(0, 1, 0, 0), (7, 15, 32767, 12), (-1, 3, 5, 2**40)]:
        state = mix(((seed << 8) + purpose) & mask)
        state = mix(mix(state + step * cell & mask) + step * access & mask)
        drawn = uniforms(seed, Purpose(purpose), [cell], [access])
        assert drawn[0] == (state >> 11) * 2.0**-53 + 2.0**-54


def test_draws_are_normal_and_independent():
    drawn = normals(3, Purpose.READ, np.arange(500)[:, None], np.arange(400))
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    for a, b in [(drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.01
    other = normals(3, Purpose.SET_PULSE, np.arange(500)[:, None], np.arange(400))
    assert abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("name", PRESETS)
def test_order_and_company_of_cells_are_nothing_to_them(name):
    device = load_device(name)
    rng = np.random.default_rng(2)
    together, alone = cells_of(device, 40), cells_of(device, 40)
    reads = []
    for _ in range(12):
        chosen = rng.permutation(40)[: rng.integers(1, 40)]
        polarity = Polarity(int(rng.integers(0, 3)))
        gate, line = rng.uniform(1, 4, 40), rng.uniform(1, 3, 40)
        together.pulse(polarity, chosen, gate[chosen], line[chosen], 100 * NS)
        for cell in rng.permutation(chosen):
            alone.pulse(
                polarity, np.array([cell]), gate[cell : cell + 1], line[cell : cell + 1], 100 * NS
            )
        one = {cell: alone.read(np.array([cell]))[0] for cell in chosen}
        reads.append((together.read(chosen), np.array([one[cell] for cell in chosen])))
    for both, each in reads:
        np.testing.assert_array_equal(both, each)
    np.testing.assert_array_equal(together.conductances(), alone.conductances())


def test_forming_voltages_are_the_published_ones():
    cells = DeviceCells(SPOTLESS, 4096, 5)
    assert (cells.conductances() < 0.1).all()
    formed_at = np.full(4096, np.nan)
    for line_v in np.arange(2.0, 4.001, 0.05):
        pulse(cells, Polarity.FORM, 2.0, line_v, np.flatnonzero(~cells.formed), 1000 * NS)
        formed_at[cells.formed & np.isnan(formed_at)] = line_v
    assert cells.formed.all()
    assert 3.08 <= formed_at.mean() <= 3.17
    assert 0.11 <= formed_at.std() <= 0.45
    assert 7.0e3 <= np.median(1e6 / cells.programmed) <= 7.8e3


def test_cells_form_only_with_enough_gate_voltage_and_only_formed_ones_are_set():
    cells = DeviceCells(SPOTLESS, 64, 1)
    pulse(cells, Polarity.FORM, 1.5, 5.0)
    pulse(cells, Polarity.SET, 3.0, 2.0)
    assert not cells.formed.any()
    assert (cells.pulses == 2).all()
    assert (cells.conductances() == RADAR.forming.fresh_us).all()
    # A FORM pulse on formed cells is a SET.
    pulse(cells, Polarity.FORM, 2.0, 5.0)
    assert cells.formed.all()
    pulse(cells, Polarity.FORM, 3.0, 2.5)
    assert (cells.programmed > 200).all()


def test_cells_that_never_form():
    device = load_device("sky130")
    cells = DeviceCells(dataclasses.replace(device, faults=Faults()), 20000, 1)
    pulse(cells, Polarity.FORM, 2.0, 3.2, width_s=1000 * NS)
    assert abs(cells.formed.mean() - 0.9273) < 0.005


def test_set_limits_are_those_of_the_published_sweeps():
    # Word line with 2 V on the bit line, bit line with 3 V on the word line; kilohms of the logs.
    cells = cells_of(without_spread(RADAR), 1)
    for gate_v, low, high in [(2.05, 10, 17), (2.1, 7.4, 10), (2.2, 5.7, 7.1), (2.3, 4.9, 5.4)]:
        pulse(cells, Polarity.SET, gate_v, 2.0)
        assert low <= 1e3 / cells.programmed[0] <= high
    cells = cells_of(without_spread(RADAR), 1)
    for line_v, low, high in [(1.0, 4.7, 5.8), (1.35, 4.1, 4.8), (1.7, 4.0, 4.3), (2.0, 3.9, 4.2)]:
        pulse(cells, Polarity.SET, 3.0, line_v)
        assert low <= 1e3 / cells.programmed[0] <= high


def test_reset_limits_are_those_of_the_published_sweep():
    cells = cells_of(without_spread(RADAR), 1)
    pulse(cells, Polarity.SET, 2.2, 2.0)
    before = cells.programmed[0]
    pulse(cells, Polarity.RESET, 3.5, 0.8)
    assert cells.programmed[0] == before
    for line_v, low, high in [(1.2, 7, 35), (1.5, 20, 60), (1.8, 45, 90), (2.1, 60, 130)]:
        pulse(cells, Polarity.RESET, 3.5, line_v)
        assert low <= 1e3 / cells.programmed[0] <= high
    # A low gate voltage limits what reaches the cell.
    weak = cells_of(without_spread(RADAR), 1)
    pulse(weak, Polarity.SET, 2.2, 2.0)
    pulse(weak, Polarity.RESET, 1.5, 3.0)
    assert weak.programmed[0] == before


def test_longer_pulses_act_like_higher_ones():
    cells = cells_of(without_spread(RADAR), 2)
    low = np.array([1.0])
    cells.pulse(Polarity.SET, np.array([0]), 3 * low, low + 0.05, 200 * NS)
    cells.pulse(Polarity.SET, np.array([1]), 3 * low, low, 2000 * NS)
    assert cells.programmed[0] == pytest.approx(cells.programmed[1])
    before = cells.programmed.copy()
    pulse(cells, Polarity.SET, 3.5, 2.5, width_s=0.0)
    np.testing.assert_array_equal(cells.programmed, before)


def test_spreads_of_cycling_are_the_published_ones():
    cells = cells_of(SPOTLESS, 256)
    states = {Polarity.SET: [], Polarity.RESET: []}
    for _ in range(280):
        for polarity, gate_v, line_v in [(Polarity.SET, 2.35, 2.0), (Polarity.RESET, 3.5, 3.0)]:
            pulse(cells, polarity, gate_v, line_v)
            states[polarity].append(np.log(1e6 / cells.programmed))
    low, high = (np.stack(states[polarity]) for polarity in Polarity if polarity in states)
    assert 4.8e3 < np.exp(np.median(low)) < 5.2e3
    assert 66e3 < np.exp(np.median(high)) < 89e3
    assert 0.10 < low.std(axis=0).mean() < 0.16
    assert 0.10 < low.mean(axis=0).std() < 0.145
    assert 0.70 < high.std(axis=0).mean() < 0.85
    assert 0.80 < high.mean(axis=0).std() < 1.05


def test_direct_pulses_land_where_their_voltages_say():
    cells = cells_of(load_device("ideal"), 16)
    gates = 1.0 + 0.1 * np.arange(16)
    cells.pulse(Polarity.SET, np.arange(16), gates, np.full(16, 2.0), 100 * NS)
    np.testing.assert_allclose(cells.conductances(), 2.0 * np.arange(16), atol=1e-9)
    pulse(cells, Polarity.RESET, 3.0, 1.5)
    np.testing.assert_allclose(cells.conductances(), np.minimum(2.0 * np.arange(16), 20.0))
    pulse(cells, Polarity.SET, 1.5, 2.0)  # never lower than before
    np.testing.assert_allclose(
        cells.conductances(), np.clip(2.0 * np.arange(16), 10.0, 20.0), atol=1e-9
    )


@pytest.mark.parametrize("name", ["hfox-neurram", "hfox-radar", "pcm", "sonos"])
def test_written_states_have_the_published_error(name):
    device = dataclasses.replace(load_device(name), faults=Faults())
    cells = DeviceCells(device, 5000, 3)
    target = np.full(5000, 0.6 * device.window.high_us)
    cells.write(np.arange(5000), target)
    sigma = device.programming_error(target)[0]
    assert sigma > 0
    assert cells.programmed.std() == pytest.approx(sigma, rel=0.05)
    assert cells.programmed.mean() == pytest.approx(target[0], abs=0.06 * sigma)


def test_reads_scatter_as_published_and_change_nothing():
    device = dataclasses.replace(load_device("hfox-neurram"), faults=Faults())
    cells = DeviceCells(device, 4000, 3)
    everyone = np.arange(4000)
    cells.write(everyone, np.full(4000, 20.0))
    before = cells.programmed.copy()
    error = cells.read(everyone) / before - 1
    assert error.std() == pytest.approx(0.01, rel=0.05)
    assert (cells.read(everyone) != cells.read(everyone)).any()
    np.testing.assert_array_equal(cells.programmed, before)


def test_flicker_noise_of_pcm_grows_with_time():
    cells = DeviceCells(load_device("pcm"), 1, 3)
    cells.write(np.array([0]), np.array([12.5]))
    sigmas = []
    for seconds in (20.0, 3600.0, 86400.0):
        cells.now = seconds
        sigmas.append(cells.read_sigma(np.array([0]), np.array([12.5]))[0])
    # q = 0.0088 / 0.5**0.65; sigma = G q sqrt(ln((t + t_r) / (2 t_r)))
    worked = 12.5 * 0.0088 / 0.5**0.65 * np.sqrt(np.log((20.0 + 250e-9) / 500e-9))
    assert sigmas[0] == pytest.approx(worked, rel=1e-3)
    assert sigmas[0] < sigmas[1] < sigmas[2]


def test_cells_relax_along_one_path_to_the_published_spread():
    cells = DeviceCells(SPOTLESS, 4000, 3)
    cells.write(np.arange(4000), np.full(4000, 87.0))
    np.testing.assert_array_equal(cells.conductances(), cells.programmed)
    cells.wait(1.0)
    early = cells.conductances() - cells.programmed
    cells.wait(1799.0)
    late = cells.conductances() - cells.programmed
    assert late.std() == pytest.approx(19.7, rel=0.1)
    assert 0 < early.std() < late.std()
    assert np.corrcoef(early, late)[0, 1] > 0.99
    cells.wait(1e9)
    np.testing.assert_array_equal(cells.conductances() - cells.programmed, late)


def test_phase_change_cells_drift_by_the_published_power():
    device = dataclasses.replace(load_device("pcm"), faults=Faults())
    cells = DeviceCells(device, 4000, 3)
    cells.write(np.arange(4000), np.full(4000, 25.0))
    cells.wait(20.0)
    start = cells.conductances()
    cells.wait(20.0 * 1e4 - 20.0)
    nu = -np.log10(cells.conductances() / start) / 4
    # x is near 1: nu = max(0.0244, 0.049), its sd max(-0.0059, 0.008)
    assert nu.mean() == pytest.approx(0.049, abs=0.001)
    assert nu.std() == pytest.approx(0.008, rel=0.1)


def test_stuck_cells_hold_their_conductance():
    device = dataclasses.replace(RADAR, faults=Faults(stuck_low=0.2, stuck_high=0.3))
    cells = cells_of(device, 5000)
    assert cells.stuck_low.mean() == pytest.approx(0.2, abs=0.02)
    assert cells.stuck_high.mean() == pytest.approx(0.3, abs=0.02)
    for polarity in (Polarity.SET, Polarity.RESET):
        pulse(cells, polarity, 3.5, 3.0)
        values = cells.conductances()
        assert (values[cells.stuck_low] == device.window.low_us).all()
        assert (values[cells.stuck_high] == device.window.high_us).all()


def test_cycles_close_the_window_and_end_a_cells_life():
    short = dataclasses.replace(SPOTLESS, endurance=Endurance(cycles=40, spread=0.3, closing=0.2))
    cells = cells_of(short, 400)
    medians, dead = [], []
    for _ in range(100):
        pulse(cells, Polarity.SET, 2.5, 2.0)
        pulse(cells, Polarity.RESET, 3.5, 3.0)
        dead.append(np.mean(cells.conductances() == short.window.high_us))
        medians.append(np.median(cells.programmed))
    assert dead[0] == 0
    assert abs(dead[39] - 0.5) < 0.1
    assert dead[99] > 0.97
    assert medians[30] / medians[0] == pytest.approx(32**0.2, rel=0.35)


def test_resets_without_a_set_between_them_are_no_cycles():
    cells = cells_of(SPOTLESS, 4)
    for polarity, cycles in [(0, 1), (1, 2), (1, 2), (0, 2), (0, 2), (1, 3)]:
        pulse(cells, Polarity(polarity), 3.0, 3.0)
        assert (cells.cycles == cycles).all()


def test_currents_are_linear_unless_the_device_bends_them():
    volts = np.array([-0.4, 0.1, 0.4])
    cells = DeviceCells(SPOTLESS, 3, 1)
    np.testing.assert_array_equal(cells.currents(np.full(3, 10.0), volts), 10.0 * volts)
    bent = dataclasses.replace(SPOTLESS, conduction=Conduction.SINH, sinh_per_v=2.0)
    currents = DeviceCells(bent, 3, 1).currents(np.full(3, 10.0), volts)
    np.testing.assert_allclose(currents, 5.0 * np.sinh(2.0 * volts))
