"""Whatever a stream does wrong, the bench library notices and names it."""

import pytest
from support.faulty_stage import FaultyStage

from celosia.sim.block_bench import run_block_bench
from celosia.sim.simulation import SimulationFailed


@pytest.fixture(autouse=True)
def logs_of_failures_go_here(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def run(fault: str, test: str = "beats_arrive") -> None:
    run_block_bench(
        FaultyStage,
        "support.faulty_stage_bench",
        name="faulty_stage",
        parameters={"fault": fault},
        seed=3,
        test_filter=rf"\.{test}$",
    )


def test_good_stream():
    run("NONE")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("DROPPED_VALID", r"o: valid was dropped before 0x1\d was taken"),
        ("CHANGED_PAYLOAD", r"o: payload changed from 0x1\d to 0x1\d before it was taken"),
        ("LOST_BEAT", r"o: beat 7 of 20 is 0x18, expected 0x17"),
        ("WRONG_BEAT", r"o: beat 7 of 20 is 0x16, expected 0x17"),
        ("EXTRA_BEAT", r"o: 1 beats more than expected, the first 0x23"),
        (
            "STUCK_READY",
            r"no end after 500 cycles: i offers beat 7 and waits for ready; "
            r"o waits for beat 7 \(valid is 0\)",
        ),
    ],
)
def test_faulty_stream(fault, message):
    with pytest.raises(SimulationFailed, match=message):
        run(fault)


def test_no_such_stream():
    with pytest.raises(SimulationFailed, match=r"the DUT has no stream 'x': .*x__payload"):
        run("NONE", "no_such_stream")


def test_waves_on_request(monkeypatch, tmp_path):
    monkeypatch.setenv("CELOSIA_BENCH_WAVES", str(tmp_path))
    run("NONE")
    assert (tmp_path / "faulty_stage.fst").stat().st_size > 1000


def test_parameters_and_seed_are_printed(capsys):
    run("NONE")
    assert "support.faulty_stage_bench {'fault': 'NONE'} seed=3" in capsys.readouterr().out
