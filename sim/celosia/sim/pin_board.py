"""A board behind the pins of `celosia.hdl.crossbar.pin_front_end`, in cocotb."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.crossbar.config import CODE_BITS, VOLTAGE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import WRITE_MODES
from celosia.hdl.crossbar.pin_front_end import CONVERTER_BITS, select_chain
from celosia.sim.packing import fields_of

Levels = Mapping[str, int]


@dataclass(frozen=True)
class Pulse:
    """A pulse as the array saw it: levels of the chain, DAC codes, length in clock cycles."""

    levels: Levels
    word_line: int
    line: int
    cycles: int


class PinBoard:
    """Shift registers (74HC595), two DACs (DAC121S101) and ADCs (AD7476A), by their data sheets.

    Whatever the array must never see fails the test: a pulse without enabled lines or in another
    mode, levels that change in a pulse, conversions of currents that aren't held.

    Args:
        dut: has the pins as ``pins__pulse`` and so on.
        sample: the 12-bit code of an ADC, from the levels that were held and the lane.

    Attributes:
        pulses: all that the array got, in order.
    """

    def __init__(
        self, dut: Any, config: CrossbarConfig, clk: Any, sample: Callable[[Levels, int], int]
    ) -> None:
        self._dut, self._config, self._sample = dut, config, sample
        self._layout = select_chain(config)
        self._edge = RisingEdge(clk)
        self._shifted = self._latched = 0
        self._dacs = [0, 0]
        self._frames: list[list[int]] = [[], []]
        self._bits: list[list[int]] = [[] for _ in range(config.adcs)]
        self.pulses: list[Pulse] = []
        dut.pins__adc_data.value = 0
        cocotb.start_soon(self._watch())

    @property
    def levels(self) -> Levels:
        """What the chain's outputs say."""
        fields = fields_of(self._layout, self._latched)
        return {name: value for name, value in fields.items() if name != "pad"}

    async def _watch(self) -> None:
        names = [
            *("select_data", "select_clock", "select_latch", "enable", "pulse", "hold"),
            *("dac_sync_n", "dac_clock", "dac_data", "adc_cs_n", "adc_clock"),
        ]
        pins = {name: getattr(self._dut, f"pins__{name}") for name in names}
        old = dict.fromkeys(names, 0) | {"dac_sync_n": 1, "adc_cs_n": 1}
        begun: tuple[Levels, int, int] | None = None
        cycles = 0
        while True:
            await self._edge
            now = {name: int(pin.value) for name, pin in pins.items()}
            rises = {name for name in names if now[name] > old[name]}
            falls = {name for name in names if now[name] < old[name]}
            if "select_clock" in rises:
                self._shifted = (self._shifted << 1 | now["select_data"]) % (1 << self._layout.size)
            if "select_latch" in rises:
                assert not now["pulse"], "levels change in a pulse"
                self._latched = self._shifted
            self._dac(now, falls)
            self._adc(now, falls)
            if now["pulse"]:
                assert now["enable"], "a pulse on lines that aren't enabled"
                assert self.levels["mode"] in WRITE_MODES, "a pulse in a read"
                here = self.levels, self._dacs[0], self._dacs[1]
                begun = begun or here
                assert here == begun, "levels change in a pulse"
                cycles += 1
            elif begun:
                self.pulses.append(Pulse(*begun, cycles))
                begun, cycles = None, 0
            old = now

    def _dac(self, now: dict[str, int], falls: set[str]) -> None:
        if now["dac_sync_n"]:
            self._frames = [[], []]  # a frame that ends early changes nothing
        elif "dac_clock" in falls:
            for lane, frame in enumerate(self._frames):
                frame.append(now["dac_data"] >> lane & 1)
                if len(frame) == CONVERTER_BITS:
                    value = int("".join(map(str, frame)), 2)
                    assert value >> CODE_BITS == 0, "a DAC is powered down"
                    self._dacs[lane] = value >> (CODE_BITS - VOLTAGE_BITS)

    def _adc(self, now: dict[str, int], falls: set[str]) -> None:
        if "adc_cs_n" in falls:
            assert now["hold"], "a conversion of currents that aren't held"
            assert now["enable"], "a conversion with all switches open"
            for lane in range(self._config.adcs):
                code = self._sample(self.levels, lane)
                self._bits[lane] = [int(bit) for bit in f"{code:0{CONVERTER_BITS}b}"]
        elif "adc_clock" in falls and not now["adc_cs_n"]:
            for bits in self._bits:
                del bits[:1]
        values = [bits[0] if bits and not now["adc_cs_n"] else 1 for bits in self._bits]
        self._dut.pins__adc_data.value = sum(bit << lane for lane, bit in enumerate(values))
