"""The virtual board: the driver, unchanged, through a pseudo-terminal to the RTL."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support.bad_lines import SpoiledLine

from celosia.runtime.board_device import BoardDevice
from celosia.runtime.cli import main
from celosia.runtime.crossbar.tiles import TileOptions, program_tiles
from celosia.runtime.link.host_link import HostLink, LinkError
from celosia.runtime.link.serial_line import SerialLine
from celosia.runtime.run import run_graph
from celosia.runtime.session import Placement, open_session

SEED = 21


@contextlib.contextmanager
def served(*options):
    """A virtual board in a process of its own; gives its port."""
    # Whoever runs the tests in the background ignores interrupts, and so would what they start.
    command = [
        sys.executable,
        "-c",
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from celosia.runtime.cli import main; main()",
    ]
    process = subprocess.Popen(
        [*command, "serve", "--json", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "serving ended before it began"
            text += line
        yield json.loads(text)["port"]
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(20) == 130


@pytest.fixture(scope="module")
def board():
    with served("--bulk", "--config", "npu8x8") as port:
        yield port


def cli(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return ended.value.code, streams.out, streams.err


def test_digits_through_the_virtual_board(board, capsys):
    status, out, err = cli(capsys, "run", "digits", "--device", "board", "--port", board, "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["outputs_match"]
    assert report["cycles_source"] == "board"
    modelled = json.loads(cli(capsys, "run", "digits", "--json")[1])
    assert report["cycles"] == modelled["cycles"]


PUBLIC = pytest.mark.parametrize(
    "name",
    [
        "ic_resnet8_int8",
        "kws_dscnn_int8",
        "vww_mobilenetv1_025_96_int8",
        "ad_autoencoder_int8",
    ],
)


@PUBLIC
def test_public_networks_through_the_virtual_board(board, capsys, models_dir, name):
    model = models_dir / f"{name}.tflite"
    arguments = ("run", model, "--device", "board", "--port", board, "--json")
    status, out, _ = cli(capsys, *arguments)
    assert status == 0
    assert json.loads(out)["mismatches"] == 0


def test_uart_and_all():
    with served("--config", "npu4x4") as port, SerialLine(port) as line:
        session = open_session("digits", "npu4x4", None)
        device = BoardDevice(session.program, HostLink(line, timeout_s=3))
        result = run_graph(session.graph, session.program, device, "board", session.samples(None))
        assert result.report.outputs_match


def test_a_bad_line_ends_with_the_right_bytes(board):
    print(f"seed {SEED}")
    session = open_session("digits", "npu8x8", None)
    with SerialLine(board) as line:
        link = HostLink(SpoiledLine(line, 0.01, SEED), timeout_s=0.3, attempts=60)
        device = BoardDevice(session.program, link)
        result = run_graph(session.graph, session.program, device, "board", session.samples(None))
    assert result.report.outputs_match
    assert link.resent > 10


@pytest.mark.slow
@PUBLIC
def test_public_networks_through_a_bad_line(board, models_dir, name):
    """A byte in a hundred is damaged, lost or doubled, either way; the bytes are the golden's."""
    print(f"seed {SEED}")
    session = open_session(str(models_dir / f"{name}.tflite"), "npu8x8", None)
    (sample,) = session.samples(None)
    with SerialLine(board) as line:
        link = HostLink(SpoiledLine(line, 0.01, SEED), timeout_s=0.3, attempts=60)
        device = BoardDevice(session.program, link)
        result = run_graph(session.graph, session.program, device, "board", [sample])
    session.open("golden")
    golden = session.run([sample])
    assert result.report.outputs_match
    for got, want in zip(result.outputs, golden.outputs, strict=True):
        assert got.tobytes() == want.tobytes()
    assert link.resent > 10


def test_a_hopeless_line_ends_with_a_sentence(board, capsys):
    print(f"seed {SEED}")
    words = np.zeros(2000, np.uint32)
    with SerialLine(board) as line:
        bad = SpoiledLine(line, 0.0, SEED)
        link = HostLink(bad, timeout_s=0.1, attempts=3)
        link.connect()
        bad.spoiler.share = 0.5
        with pytest.raises(LinkError, match=r"^board must answer, and fell silent: 4 attempts"):
            link.write(0x2000_0000, words)
        with pytest.raises(LinkError, match=r"^board must answer within 0\.3 s, and nothing that"):
            link.connect()
    # The board has taken no harm.
    arguments = ("run", "digits", "--device", "board", "--port", board, "--json")
    assert cli(capsys, *arguments)[0] == 0


def test_noise_changes_nothing(board):
    """Random bytes on the line between two runs leave the program and the answers as they are."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    with SerialLine(board) as line:
        link = HostLink(line)
        link.connect()
        before = link.read(0x2000_0000, 3000)
        for _ in range(300):
            line.write(rng.bytes(int(rng.integers(1, 120))))
        link.connect()
        assert np.array_equal(link.read(0x2000_0000, 3000), before)


def test_tiles_through_a_bad_line(tmp_path):
    """The controller programs and calibrates on the host's commands, some of which come twice."""
    print(f"seed {SEED}")
    config = tmp_path / "small.toml"
    config.write_text('base = "npu4x4"\n[crossbar]\ntiles = 4\nrows = 32\noutputs = 4\nadcs = 10\n')
    placement = Placement(places=("head=crossbar",))
    session = open_session("digits", str(config), None, placement=placement)
    tiles = program_tiles(session.program, TileOptions(programming="commands", calibrate=True))
    with served("--bulk", "--config", str(config)) as port, SerialLine(port) as line:
        link = HostLink(SpoiledLine(line, 0.002, SEED), timeout_s=0.3, attempts=60)
        device = BoardDevice(session.program, link, tiles)
        samples = session.samples(None)
        result = run_graph(session.graph, session.program, device, "board", samples, tiles)
    report = result.report
    assert report.outputs_match
    assert report.crossbar.results == {"converged": 3 * 32 * 16}
    assert (report.crossbar.differing_words, report.crossbar.calibrated) == (0, 3 * 16)
    assert link.resent > 10


def test_a_program_for_another_configuration_is_refused(board, capsys):
    arguments = ("run", "digits", "--device", "board", "--port", board, "--config", "npu4x4")
    status, _, err = cli(capsys, *arguments)
    assert status == 2
    assert "board must have the configuration that the program was compiled for (npu4x4," in err


def test_ports_that_are_none(capsys, tmp_path):
    status, _, err = cli(
        capsys, "run", "digits", "--device", "board", "--port", tmp_path / "nothing"
    )
    assert status == 2
    assert "can't be opened" in err
    status, _, err = cli(capsys, "run", "digits", "--device", "board")
    assert status == 2
    assert "--device board needs --port, and no other device takes one" in err
    assert cli(capsys, "run", "digits", "--port", "x")[0] == 2


def test_a_board_that_says_nothing():
    master, slave = os.openpty()
    try:
        with (
            SerialLine(os.ttyname(slave)) as line,
            pytest.raises(LinkError, match="check the port"),
        ):
            HostLink(line, timeout_s=0.05, attempts=2).connect()
    finally:
        os.close(master)
        os.close(slave)
