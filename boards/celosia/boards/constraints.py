"""Constraint files: where pins are, and how fast clocks must be."""

from collections.abc import Iterator, Mapping

from celosia.boards.board import Board, Pin, Pull
from celosia.boards.pll import PllSettings
from celosia.boards.top import CLOCK_NET, CLOCK_PORT, DOUBLE_NET
from celosia.hdl.family import Family

__all__ = ["clock_mhz", "constrained_clocks", "constraint_files"]


def clock_mhz(board: Board, pll: PllSettings | None) -> float:
    """Frequency of the NPU's clock."""
    return float(pll.output_mhz) if pll is not None else board.clock.mhz


def constrained_clocks(board: Board, pll: PllSettings | None) -> Mapping[str, float]:
    """The clocks that drive registers, by the names that reports give them, and their MHz."""
    behind_pin = pll is None and board.family is not Family.GOWIN
    mhz = clock_mhz(board, pll)
    clocks = {CLOCK_PORT if behind_pin else CLOCK_NET: mhz}
    return {**clocks, DOUBLE_NET: 2 * mhz} if pll is not None and pll.doubled else clocks


def constraint_files(board: Board, pll: PllSettings | None) -> Mapping[str, str]:
    """The files that the family's nextpnr reads, by name. All clocks are always constrained."""
    lines = _WRITERS[board.family](board, pll)
    files: dict[str, list[str]] = {}
    for name, line in lines:
        files.setdefault(name, []).append(line)
    return {name: "\n".join(text) + "\n" for name, text in files.items()}


def ports(board: Board) -> Iterator[tuple[str, Pin]]:
    """Ports of the top, and the pins that they are on."""
    yield CLOCK_PORT, board.clock.pin
    yield "rx", board.uart.rx
    yield "tx", board.uart.tx
    for number, led in enumerate(board.leds):
        yield f"led_{number}", led
    if board.reset is not None:
        yield "reset_pin", board.reset


def _lpf(board: Board, pll: PllSettings | None) -> Iterator[tuple[str, str]]:
    file = "board.lpf"
    for port, pin in ports(board):
        standard = pin.io_standard or board.io_standard
        yield file, f'LOCATE COMP "{port}" SITE "{pin.pin}";'
        yield file, f'IOBUF PORT "{port}" IO_TYPE={standard} PULLMODE={pin.pull.upper()};'
    yield file, f'FREQUENCY PORT "{CLOCK_PORT}" {board.clock.mhz:.9g} MHZ;'
    if pll is not None:
        yield file, f'FREQUENCY NET "{CLOCK_NET}" {clock_mhz(board, pll):.9g} MHZ;'


def _pcf(board: Board, pll: PllSettings | None) -> Iterator[tuple[str, str]]:
    file = "board.pcf"
    for port, pin in ports(board):
        pull = "-pullup yes " if pin.pull is Pull.UP else ""
        yield file, f"set_io {pull}{port} {pin.pin}"
    yield file, f"set_frequency {CLOCK_PORT} {board.clock.mhz:.9g}"
    if pll is not None:
        for net, mhz in constrained_clocks(board, pll).items():
            yield file, f"set_frequency {net} {mhz:.9g}"


def _cst(board: Board, pll: PllSettings | None) -> Iterator[tuple[str, str]]:
    file = "board.cst"
    for port, pin in ports(board):
        standard = pin.io_standard or board.io_standard
        yield file, f'IO_LOC "{port}" {pin.pin};'
        yield file, f'IO_PORT "{port}" IO_TYPE={standard} PULL_MODE={pin.pull.upper()};'
    # nextpnr ignores constraints on ports here, and the net behind the pin's buffer has this name
    # where there is no PLL.
    period_ns = 1000 / clock_mhz(board, pll)
    yield "board.sdc", f"create_clock -name npu -period {period_ns:.6f} [get_nets {CLOCK_NET}]"


_WRITERS = {Family.ECP5: _lpf, Family.ICE40: _pcf, Family.GOWIN: _cst}
