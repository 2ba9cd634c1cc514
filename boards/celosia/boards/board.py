"""What a board is: its FPGA, its pins, and the NPU that fits it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from celosia.boards.devices import DEVICES, Device
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.hdl.family import Family


class Level(StrEnum):
    """The level at which a signal means yes."""

    HIGH = "high"
    LOW = "low"


class Pull(StrEnum):
    """A pin's own resistor."""

    NONE = "none"
    UP = "up"
    DOWN = "down"


class Method(StrEnum):
    """Where a programmer puts the bitstream."""

    SRAM = "sram"
    FLASH = "flash"


IO_STANDARDS = {
    Family.ECP5: (
        *("LVCMOS33", "LVTTL33", "LVCMOS25", "LVCMOS18", "LVCMOS15", "LVCMOS12"),
        *("SSTL18_I", "SSTL15_I", "SSTL135_I"),
    ),
    Family.ICE40: (),
    Family.GOWIN: ("LVCMOS33", "LVTTL33", "LVCMOS25", "LVCMOS18", "LVCMOS15", "LVCMOS12"),
}
"""Standards that a pin may be set to; an iCE40's pins have that of their bank's supply."""

_PULLS = {
    Family.ECP5: tuple(Pull),
    Family.ICE40: (Pull.NONE, Pull.UP),
    Family.GOWIN: tuple(Pull),
}
_LOCATIONS = {
    Family.ECP5: r"[A-Z]{1,2}[1-9][0-9]?",
    Family.ICE40: r"[A-Z]?[1-9][0-9]?",
    Family.GOWIN: r"[A-Z]?[1-9][0-9]?",
}
_NAME = r"[a-z0-9][a-z0-9.+-]*"
_USB = r"[0-9a-f]{4}:[0-9a-f]{4}"
_BAUD = (9600, 12_000_000)
_CLOCK_MHZ = (1.0, 400.0)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One pin of the FPGA.

    Attributes:
        pin: the package's name for it.
        active: level that means yes.
        pull: its resistor.
        io_standard: its standard; empty for the board's.
    """

    pin: str
    active: Level = Level.HIGH
    pull: Pull = Pull.NONE
    io_standard: str = ""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The oscillator: its pin and its frequency in MHz."""

    pin: Pin
    mhz: float


@dataclass(frozen=True, kw_only=True)
class Uart:
    """The serial line: `rx` into the FPGA, `tx` out of it, and its bits a second.

    `bridge` says what carries it to the host.
    """

    rx: Pin
    tx: Pin
    baud: int
    bridge: str


@dataclass(frozen=True, kw_only=True)
class Programmer:
    """One way to load a bitstream: the tool and its arguments, behind which the file comes."""

    method: Method
    tool: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Attributes:
        name: what the command line calls it.
        title: what people call it.
        device, package, speed: the FPGA; the speed grade is empty where there is only one.
        io_standard: of pins that name none; empty on an iCE40.
        clock: its oscillator.
        frequency_mhz: of the NPU, which a PLL makes.
        uart: the serial line.
        leds: up to three, for the states link, busy and error in this order.
        reset: a button that resets the NPU.
        config: the NPU that fits.
        programmers: ways to load it; the first of a method is the usual one.
        usb: vendor and product of the USB devices that the programmers look for, as `0403:6010`.
        source: where the pins are from.
        notes: what a user should know.

    Raises:
        CelosiaError: a value can't be, or doesn't fit the others.
    """

    name: str
    title: str
    device: Device
    package: str
    speed: str
    io_standard: str
    clock: Clock
    frequency_mhz: float
    uart: Uart
    leds: tuple[Pin, ...]
    reset: Pin | None
    config: NpuConfig
    programmers: tuple[Programmer, ...]
    usb: tuple[str, ...]
    source: str
    notes: str

    def __post_init__(self) -> None:
        for key in ("name", "title", "package", "speed", "io_standard", "source", "notes"):
            _check_text(key, getattr(self, key))
        if not re.fullmatch(_NAME, self.name):
            raise CelosiaError(
                f"name must be lower-case letters, digits, dots and dashes, not {self.name!r}"
            )
        _check_member("package", self.package, self.device.packages)
        _check_member("speed", self.speed, self.device.speeds)
        if self.device.family is not Family.ICE40 or self.io_standard:
            self._check_standard("io_standard", self.io_standard)
        _check_number("clock.mhz", self.clock.mhz, *_CLOCK_MHZ)
        _check_number("frequency_mhz", self.frequency_mhz, *_CLOCK_MHZ)
        self._check_uart()
        if len(self.leds) > 3:
            raise CelosiaError(f"leds must be at most 3 (link, busy, error), not {len(self.leds)}")
        for name, pin in self.pins():
            self._check_pin(name, pin)
        for location, count in Counter(pin.pin for _, pin in self.pins()).items():
            if count > 1:
                raise CelosiaError(f"a pin must have one use, not {count} as {location} has")
        for programmer in self.programmers:
            _check_text("programmers.tool", programmer.tool)
            for argument in programmer.arguments:
                _check_text("programmers.arguments", argument)
        for device in self.usb:
            if not isinstance(device, str) or not re.fullmatch(_USB, device):
                raise CelosiaError(
                    "usb must be four hexadecimal digits of the vendor, a colon and four of the "
                    f"product, as in 0403:6010, not {device!r}"
                )

    @property
    def family(self) -> Family:
        """The FPGA's family."""
        return self.device.family

    def pins(self) -> Iterator[tuple[str, Pin]]:
        """All pins with their names in the description."""
        yield "clock", self.clock.pin
        yield "uart.rx", self.uart.rx
        yield "uart.tx", self.uart.tx
        for number, led in enumerate(self.leds):
            yield f"leds.{number}", led
        if self.reset is not None:
            yield "reset", self.reset

    def programmers_for(self, method: Method) -> tuple[Programmer, ...]:
        """Ways to load the bitstream there, the usual one first; none where the board has none."""
        return tuple(entry for entry in self.programmers if entry.method is method)

    def _check_uart(self) -> None:
        low, high = _BAUD
        baud = self.uart.baud
        if type(baud) is not int or not low <= baud <= high:
            raise CelosiaError(
                f"uart.baud must be an integer from {low:,} to {high:,}, not {baud!r}"
            )
        if baud * 4e-6 > self.frequency_mhz:
            raise CelosiaError(
                f"uart.baud must be at most a quarter of frequency_mhz "
                f"({self.frequency_mhz:g} MHz), not {baud:,}"
            )
        _check_text("uart.bridge", self.uart.bridge)

    def _check_pin(self, name: str, pin: Pin) -> None:
        if not isinstance(pin.pin, str) or not re.fullmatch(_LOCATIONS[self.family], pin.pin):
            raise CelosiaError(
                f"{name}.pin must be a pin of an {self.family} package, not {pin.pin!r}"
            )
        _check_member(f"{name}.pull", str(pin.pull), _PULLS[self.family])
        if pin.io_standard:
            self._check_standard(f"{name}.io_standard", pin.io_standard)

    def _check_standard(self, name: str, standard: str) -> None:
        known = IO_STANDARDS[self.family]
        if not known:
            raise CelosiaError(
                f"{name} must not be given for an {self.family}, whose banks' supplies decide, "
                f"not be {standard!r}"
            )
        _check_member(name, standard, known)


def device_named(name: object) -> Device:
    """The device of that name.

    Raises:
        CelosiaError: there is none.
    """
    _check_member("device", name, DEVICES)
    return DEVICES[str(name)]


def _check_member(name: str, value: object, known: object) -> None:
    options = list(known)  # type: ignore[call-overload]
    if value not in options:
        listed = ", ".join(str(option) or '""' for option in options)
        raise CelosiaError(f"{name} must be one of {listed}, not {value!r}")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise CelosiaError(f"{name} must be a string, not {value!r}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        raise CelosiaError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
