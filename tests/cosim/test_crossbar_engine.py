# amaranth: UnusedElaboratable=no
"""The crossbar as an engine in Verilator: the host's window, and products beside commands."""

import pytest
from support.mutants import mutated

from celosia.golden.config import config_from_mapping
from celosia.hdl.crossbar import (
    controller,
    engine,
    level_queue,
    pixel_gatherer,
    result_queue,
    status,
    window,
)
from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed

PARAMETERS = {
    "config": {
        "base": "npu4x4",
        "crossbar": {
            "tiles": 3, "rows": 16, "outputs": 4, "spares": 1, "cell_bits": 4, "adcs": 5,
            "max_word_line": 680, "max_line": 700, "max_width": 5, "unit_cycles": 2,
            "emulator": {
                "seed": 3, "device_spread": 30, "set_spread": 40, "reset_spread": 40,
                "read_spread": 6, "full_width": 1,
            },
        },
    },
}  # fmt: skip


def run(which, kind=engine.CrossbarEngine):
    """Tests of the bench by name; the emulator's cells outlive reset, so that each needs a
    simulation of its own."""

    def make(config):
        return kind(config_from_mapping(config, default_name="bench"))

    return run_block_bench(
        make,
        "celosia.sim.benches.crossbar_engine_bench",
        name="crossbar_engine",
        parameters=PARAMETERS,
        seed=51,
        test_filter=which,
    )


@pytest.mark.parametrize(
    "which",
    [
        *("commands/stalls=False", "commands/stalls=True", "turns/stalls=False"),
        *("turns/stalls=True", "aborts", "restarts", "losses", "tables", "backlog"),
    ],
)
def test_engine(which):
    run(which)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "module", "change"),
    [
        ("commands/stalls=True", pixel_gatherer, ("place.eq(0), request", "request")),
        ("commands/stalls=False", pixel_gatherer, (".eq(idle)", ".eq(0)")),
        ("commands/stalls=False", window, ("value[8:16]", "value[8:10]")),
        ("commands/stalls=False", window, ("_wide(result.row, 8)", "_wide(result.row[:3], 8)")),
        ("commands/stalls=False", window, ("looking.eq(STATUS_LATENCY)", "looking.eq(1)")),
        ("restarts", engine, ("= restarted(window)", "= window")),
        ("restarts", engine, ("= restarted(gatherer)", "= gatherer")),
        ("losses", window, ("idle.eq(~self.busy & ~commands.o.valid)", "idle.eq(~self.busy)")),
        ("restarts", window, ("number < kept.waiting", "number <= kept.waiting")),
        (
            *("tables", controller),
            ("self.commands.valid | programmer.busy | maintenance.busy", "0"),
        ),
        ("losses", level_queue, ("last + self.place", "self.place")),
        ("losses", level_queue, ("self.count > self._depth", "self.count >= self._depth")),
        ("losses", result_queue, ("Mux(few, self.count, self.waiting)", "self.count")),
        ("backlog", result_queue, ("self.waiting != self._depth", "1")),
        ("commands/stalls=False", status, ("offset < len(places)", "1")),
    ],
)
def test_the_bench_finds(which, module, change, monkeypatch):
    broken = mutated(module, change)
    for user in (engine, controller, window):
        for name in module.__all__:
            if hasattr(user, name):
                monkeypatch.setattr(user, name, getattr(broken, name))
    kind = broken.CrossbarEngine if module is engine else engine.CrossbarEngine
    with pytest.raises(SimulationFailed):
        run(which, kind)
