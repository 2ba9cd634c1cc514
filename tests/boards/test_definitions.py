"""Boards: those that there are, their pins against a referee's, and refusals of files."""

import importlib
import re

import pytest

from celosia.boards.board import Level, Method, Pull
from celosia.boards.devices import DEVICES
from celosia.boards.load import BOARDS, board_from_mapping, load_board
from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.hdl.family import Family
from celosia.runtime.link.serial_line import DEFAULT_BAUD

REFEREES = {
    "ulx3s-12f": ("ulx3s", "ULX3S_12F_Platform"),
    "ulx3s-25f": ("ulx3s", "ULX3S_25F_Platform"),
    "ulx3s-45f": ("ulx3s", "ULX3S_45F_Platform"),
    "ulx3s-85f": ("ulx3s", "ULX3S_85F_Platform"),
    "icebreaker": ("icebreaker", "ICEBreakerPlatform"),
    "tang-nano-9k": ("tang_nano_9k", "TangNano9kPlatform"),
    "orangecrab-25f": ("orangecrab_r0_2", "OrangeCrabR0_2_25FPlatform"),
    "orangecrab-85f": ("orangecrab_r0_2", "OrangeCrabR0_2_85FPlatform"),
    "ecpix5-45f": ("ecpix5", "ECPIX545Platform"),
    "ecpix5-85f": ("ecpix5", "ECPIX585Platform"),
    "icepi-zero": ("icepi_zero", "IcepiZero1_3Platform"),
}
"""Platforms of amaranth-boards."""

UNKNOWN_UPSTREAM = {"colorlight-i5", "colorlight-i9", "tang-nano-20k"}


def leaves(name, item):
    """Pins of an upstream resource: (path, location, inverted, clock)."""
    from amaranth.build import Pins, Subsignal

    for io in item.ios:
        if isinstance(io, Subsignal):
            yield from leaves(f"{name}.{io.name}", io)
        elif isinstance(io, Pins):
            for pin in io.names:
                yield name, pin, io.invert, item.clock


@pytest.mark.parametrize("name", sorted(REFEREES))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pins_are_those_of_the_referee(name):
    module, platform = REFEREES[name]
    upstream = getattr(importlib.import_module(f"amaranth_boards.{module}"), platform)
    board = load_board(name)
    pins = {}
    for resource in upstream.resources:
        for path, pin, inverted, clock in leaves(resource.name, resource):
            pins.setdefault(pin, []).append((path, inverted, clock))

    def uses(location):
        return [(path, inverted) for path, inverted, _ in pins[location]]

    assert board.source.endswith(platform)
    ((path, _, clock),) = pins[board.clock.pin.pin]
    assert path == upstream.default_clk
    assert clock.frequency == board.clock.mhz * 1e6
    for led in board.leds:
        assert any(
            path.startswith(("led", "rgb_led")) and inverted == (led.active is Level.LOW)
            for path, inverted in uses(led.pin)
        )
    if board.reset is not None:
        assert any(
            path.startswith(("button", "rst")) and inverted == (board.reset.active is Level.LOW)
            for path, inverted in uses(board.reset.pin)
        )
    if name.startswith("orangecrab"):  # no UART upstream; pins 0 and 1 of the connector
        (connector,) = upstream.connectors
        assert connector.mapping["0"] == board.uart.rx.pin
        assert connector.mapping["1"] == board.uart.tx.pin
    else:
        assert [path for path, _ in uses(board.uart.rx.pin)] == ["uart.rx"]
        assert [path for path, _ in uses(board.uart.tx.pin)] == ["uart.tx"]
    if board.family is Family.GOWIN:
        assert upstream.part == board.device.packages[board.package] + board.speed
        assert upstream.family == board.device.name
    else:
        assert upstream.device == board.device.name
        assert upstream.package == board.package
        assert getattr(upstream, "speed", "") == board.speed


def test_every_board_has_a_referee_or_is_unknown_to_it():
    assert set(BOARDS) == set(REFEREES) | UNKNOWN_UPSTREAM


@pytest.mark.parametrize("name", BOARDS)
def test_boards_can_carry_their_npu(name):
    board = load_board(name)
    assert board.name == name
    needed = (board.config.scratchpad_kib + board.config.weight_kib) * 1024
    assert needed <= board.device.memory_bytes
    assert board.uart.baud == DEFAULT_BAUD  # what the driver opens a port with
    assert board.programmers_for(Method.FLASH)
    assert {entry.method for entry in board.programmers} <= set(Method)


def test_devices_of_a_family_share_their_primitives():
    for family in Family:
        devices = [device for device in DEVICES.values() if device.family is family]
        assert len({(d.multiplier, d.block_ram, d.block_ram_bytes) for d in devices}) == 1
    assert DEVICES["iCE40UP5K"].memory_bytes == 128 * 1024 + 30 * 512
    assert DEVICES["LFE5UM5G-85F"].nextpnr == "um5g-85k"


def test_a_board_of_ones_own_starts_from_another(tmp_path):
    path = tmp_path / "Mine.toml"
    path.write_text(
        'base = "ulx3s-25f"\ntitle = "My board"\n'
        'leds = [{ pin = "H3", active = "low" }]\n'
        "[clock]\nmhz = 12.5\n"
        '[uart]\nbaud = 115_200\nrx = { pin = "M3", pull = "up" }\n'
        '[config]\nbase = "npu4x4"\n'
    )
    board = load_board(path)
    stock = load_board("ulx3s-25f")
    assert (board.name, board.title, board.device) == ("mine", "My board", stock.device)
    assert (board.clock.pin, board.clock.mhz) == (stock.clock.pin, 12.5)
    assert (board.uart.rx.pin, board.uart.rx.pull) == ("M3", Pull.UP)
    assert (board.uart.tx, board.uart.baud) == (stock.uart.tx, 115_200)
    assert [led.active for led in board.leds] == [Level.LOW]
    assert board.config == PRESETS["npu4x4"]
    assert board.programmers == stock.programmers


WHOLE = {
    "title": "A board",
    "device": "LFE5U-25F",
    "package": "BG256",
    "speed": "6",
    "io_standard": "LVCMOS33",
    "frequency_mhz": 50,
    "clock": {"pin": "A1", "mhz": 25},
    "uart": {"rx": "B1", "tx": "B2", "baud": 115200, "bridge": "FT232R"},
    "config": {"base": "npu4x4"},
}


def test_what_a_board_may_leave_out():
    board = board_from_mapping(WHOLE, default_name="least")
    assert (board.leds, board.reset, board.programmers, board.notes) == ((), None, (), "")
    assert board.usb == ()
    cut = board_from_mapping(
        {**WHOLE, "config": {"base": "npu4x4", "weight_kib": 16}}, default_name="least"
    )
    assert isinstance(cut.config, NpuConfig)
    assert (cut.config.name, cut.config.weight_kib) == ("npu4x4-least", 16)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"base": "arty"}, "base must be one of colorlight-i5, .*ulx3s-85f, not 'arty'"),
        ({"led": []}, r"key must be one of .* in a board, not 'led' \(did you mean leds\?\)"),
        ({"name": "My Board"}, "name must be lower-case letters, .*, not 'My Board'"),
        ({"title": 3}, "title must be a string, not 3"),
        ({"device": "LFE5U-26F"}, "device must be one of LFE5U-12F, .*, not 'LFE5U-26F'"),
        ({"device": ["LFE5U-25F"]}, r"device must be one of .*, not \['LFE5U-25F'\]"),
        ({"package": "BG257"}, "package must be one of BG256, .*, not 'BG257'"),
        ({"speed": "9"}, "speed must be one of 6, 7, 8, not '9'"),
        ({"speed": 6}, "speed must be a string, not 6"),
        ({"io_standard": "CMOS"}, "io_standard must be one of LVCMOS33, .*, not 'CMOS'"),
        ({"frequency_mhz": 0}, "frequency_mhz must be a number from 1 to 400, not 0"),
        ({"frequency_mhz": "50"}, "frequency_mhz must be a number from 1 to 400, not '50'"),
        ({"clock": "A1"}, "clock must be a table, not 'A1'"),
        ({"clock": {"pin": "A1"}}, "a value must be given for clock.mhz"),
        ({"clock": {"mhz": 25}}, "a value must be given for clock.pin"),
        (
            {"clock": {"pin": "A1", "mhz": float("nan")}},
            "clock.mhz must be a number from 1 to 400, not nan",
        ),
        ({"clock": {"pin": "35", "mhz": 25}}, "clock.pin must be a pin of an ecp5 .*, not '35'"),
        ({"leds": "A2"}, "leds must be a list of pins, not 'A2'"),
        ({"leds": [7]}, "leds.0 must be a table, not 7"),
        ({"leds": ["C1", "C2", "C3", "C4"]}, r"leds must be at most 3 .*, not 4"),
        ({"leds": ["C1", "C1"]}, "a pin must have one use, not 2 as C1 has"),
        ({"leds": [{"pin": "C1", "active": "yes"}]}, "leds.0.active must be one of high, low, not"),
        ({"reset": {"pin": "C1", "pull": 1}}, "reset.pull must be one of none, up, down, not 1"),
        (
            {"reset": {"pin": "C1", "io_standard": "SSTL"}},
            "reset.io_standard must be one of .*, not 'SSTL'",
        ),
        ({"reset": {"pins": "C1"}}, r"key must be one of .* in reset, not 'pins' \(did you mean"),
        ({"programmers": {}}, "programmers must be a list of tables, not {}"),
        ({"usb": "0403:6010"}, "usb must be a list of strings, not '0403:6010'"),
        *(
            (
                {"usb": ["0403:6010", bad]},
                "usb must be four hexadecimal digits of the vendor, a colon and four of the "
                f"product, as in 0403:6010, not {bad!r}",
            )
            for bad in ("0403", "0403:601G", "0403:6010 ", 4036010)
        ),
        (
            {"programmers": [{"method": "rom", "tool": "x"}]},
            "programmers.method must be one of sram, flash, not 'rom'",
        ),
        (
            {"programmers": [{"method": "sram", "tool": "x", "arguments": "-b"}]},
            "programmers.arguments must be a list of strings, not '-b'",
        ),
        (
            {"programmers": [{"method": "sram", "tool": "x", "arguments": [1]}]},
            "programmers.arguments must be a string, not 1",
        ),
        ({"config": "npu4x4"}, "config must be a table, not 'npu4x4'"),
        ({"config": {"base": "npu5x5"}}, "base must be one of npu4x4, .*, not 'npu5x5'"),
        ({"config": {"base": "npu4x4", "rows": 2}}, "config: rows must be an integer from 4 to"),
    ],
)
def test_refusals(table, sentence):
    with pytest.raises(CelosiaError, match=f"^.*{sentence}"):
        board_from_mapping({**WHOLE, **table}, default_name="mine")


@pytest.mark.parametrize(
    ("uart", "sentence"),
    [
        ({"baud": 100}, "uart.baud must be an integer from 9,600 to 12,000,000, not 100"),
        ({"baud": 115200.0}, "uart.baud must be an integer .*, not 115200.0"),
        (
            {"baud": 12_000_001},
            "uart.baud must be an integer from 9,600 to 12,000,000, not 12000001",
        ),
        ({"bridge": None}, "uart.bridge must be a string, not None"),
        ({"cts": "C1"}, "key must be one of baud, bridge, rx, tx in uart, not 'cts'"),
    ],
)
def test_refusals_of_serial_lines(uart, sentence):
    table = {**WHOLE, "uart": {**WHOLE["uart"], **uart}}
    with pytest.raises(CelosiaError, match=f"^{sentence}"):
        board_from_mapping(table, default_name="mine")


def test_a_serial_line_must_leave_four_cycles_a_bit():
    table = {**WHOLE, "frequency_mhz": 12, "uart": {**WHOLE["uart"], "baud": 3_000_001}}
    sentence = r"^uart.baud must be at most a quarter of frequency_mhz \(12 MHz\), not 3,000,001"
    with pytest.raises(CelosiaError, match=sentence):
        board_from_mapping(table, default_name="mine")


def test_an_ice40_has_no_standards_to_set_and_pulls_up_only():
    def of_icebreaker(**table):
        return board_from_mapping({"base": "icebreaker", **table}, default_name="mine")

    with pytest.raises(CelosiaError, match=r"^io_standard must not be given for an ice40, .*'SB_"):
        of_icebreaker(io_standard="SB_LVCMOS")
    with pytest.raises(CelosiaError, match=r"^reset.pull must be one of none, up, not 'down'"):
        of_icebreaker(reset={"pin": "10", "pull": "down"})


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(CelosiaError, match=r"^board must be one of .* or a .toml file, not 'ulx4'"):
        load_board("ulx4")
    with pytest.raises(CelosiaError, match=r"^can't read board '.*none.toml': No such file"):
        load_board(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("title = ")
    with pytest.raises(CelosiaError, match=r"^board '.*bad.toml' must be a TOML file: "):
        load_board(bad)
    bad.write_text('base = "icebreaker"\nspeed = "9"\n')
    with pytest.raises(CelosiaError, match=f"^board '{re.escape(str(bad))}': speed must be"):
        load_board(bad)
