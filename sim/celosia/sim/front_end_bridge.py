"""Puts a numpy model behind the front-end port of gateware: the port driven from cocotb."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode, FrontEnd, ReadRange


class FrontEndBridge:
    """The array's side of the port ``port`` of a DUT, with any `FrontEnd` as the array.

    Answers in the cycle after a strobe and is always ready. A pulse reaches the model when it has
    ended, with its length in units, begun ones counted whole. A model without `product` serves
    a controller that makes none.

    Args:
        dut: has the controller's port as its own, ``port__mode`` and so on.
        config: sizes.
        clk: the clock.
        model: what pulses and reads go to.
    """

    def __init__(self, dut: Any, config: CrossbarConfig, clk: Any, model: FrontEnd) -> None:
        self._dut, self._config, self._model = dut, config, model
        self._edge = RisingEdge(clk)
        self._products: tuple[Any, Any] | None = None
        dut.port__ready.value = 1
        dut.port__codes.value = dut.port__saturated.value = 0
        cocotb.start_soon(self._serve())

    def _level(self, name: str) -> int:
        return int(getattr(self._dut, f"port__{name}").value)

    async def _serve(self) -> None:
        cycles = 0
        pulse: tuple[Any, ...] = ()
        while True:
            await self._edge
            if self._level("pulse"):
                if not cycles:
                    pulse = self._selection()
                cycles += 1
                continue
            if cycles:
                tile, rows, columns, mode, word_line, line = pulse
                width = -(-cycles // self._config.unit_cycles)
                self._model.pulse(tile, rows, columns, mode, word_line, line, width)
                cycles = 0
            if self._level("integrate"):
                self._products = None
            if self._level("convert"):
                self._convert()

    def _selection(self) -> tuple[Any, ...]:
        row = self._level("rows").bit_length() - 1
        mode = BiasMode(self._level("mode"))
        place = np.array([row]), np.array([self._level("column")])
        codes = np.array([self._level("word_line")]), np.array([self._level("line")])
        return self._level("tile"), *place, mode, *codes

    def _convert(self) -> None:
        config, tile = self._config, self._level("tile")
        highest = (1 << config.adc_bits) - 1
        first = self._level("group") * config.adcs
        if self._level("range") == ReadRange.CELL:
            column = self._level("column")
            row = self._level("rows").bit_length() - 1
            code = int(self._model.read(tile, np.array([row]), np.array([column]))[0])
            codes = [code if first + lane == column else 0 for lane in range(config.adcs)]
            full = [code == highest for code in codes]
        else:
            if self._products is None:
                bits = self._level("rows")
                driven = np.array([[bits >> row & 1 for row in range(config.rows)]], bool)
                sequence = np.array([self._level("sequence")])
                self._products = self._model.product(tile, driven, self._level("gain"), sequence)
            every, saturated = self._products
            codes = every[0, first : first + config.adcs].tolist()
            full = saturated[0, first : first + config.adcs].tolist()
        packed = sum(code << CODE_BITS * lane for lane, code in enumerate(codes))
        self._dut.port__codes.value = packed
        self._dut.port__saturated.value = sum(int(one) << lane for lane, one in enumerate(full))
