"""A simulated NPU that stays alive: what a script leaves is there for the next one."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from celosia.golden.config import PRESETS
from celosia.golden.memory_map import Region, Status
from celosia.sim.host_script import STATE_WORDS, HostScript, state_of
from celosia.sim.live_npu import live_npu
from celosia.sim.npu_simulation import NpuSimulation
from celosia.sim.simulation import SimulationFailed

CONFIG = PRESETS["npu4x4"]
LIMIT = 1000


@pytest.fixture(scope="module")
def simulation():
    return NpuSimulation(CONFIG)


def test_memories_stay_from_script_to_script(simulation):
    """Scripts larger than a pipe's buffer too, and the clock goes on."""
    vectors = np.random.default_rng(3).integers(-128, 128, (16_000, CONFIG.rows), dtype=np.int8)
    with live_npu(simulation) as npu:
        write = HostScript(CONFIG)
        first = write.stamp()
        write.write_vectors(Region.SCRATCHPAD, 5, ~vectors)
        write.write_vectors(Region.SCRATCHPAD, 5, vectors)
        written = npu.play(write)
        assert (written.timed_out, written.cycles >= 16_000, written.wall_s > 0) == (0, True, True)
        for count in (1, 16_000):
            read = HostScript(CONFIG)
            place, stamp = read.read_vectors(Region.SCRATCHPAD, 5, count), read.stamp()
            found = npu.play(read).answers
            np.testing.assert_array_equal(
                read.vectors(Region.SCRATCHPAD, found[place], np.int8), vectors[:count]
            )
            assert found[stamp] > written.answers[first]
        assert not len(npu.play(HostScript(CONFIG)).answers)


def test_a_wait_past_its_limit_is_the_end(simulation):
    with live_npu(simulation) as npu:
        script = HostScript(CONFIG)
        script.poll(Status.DONE, LIMIT)
        script.read_state()
        result = npu.play(script)
        assert result.timed_out
        assert len(result.answers) == STATE_WORDS
        assert not state_of(result.answers).done


def test_an_exception_ends_the_simulator(simulation):
    """It doesn't go on with a wait of hours."""
    before = threading.active_count()
    endless = HostScript(CONFIG)
    endless.poll(Status.DONE, (1 << 32) - 1)

    def interrupted(npu):
        npu._send(endless.encode())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), live_npu(simulation) as npu:
        interrupted(npu)
    assert threading.active_count() == before


def test_a_simulator_that_fails(simulation, monkeypatch):
    inner = simulation._simulation
    broken = replace(inner, executable=inner.executable.with_name("nothing"))
    monkeypatch.setattr(simulation, "_simulation", broken)
    with pytest.raises(OSError, match="nothing"), live_npu(simulation):
        pass
    monkeypatch.setattr(simulation, "_simulation", replace(inner, top="other"))
    with pytest.raises(SimulationFailed), live_npu(simulation):
        pass
