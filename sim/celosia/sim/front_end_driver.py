"""Drives an analog front-end port in cocotb, as the controller would."""

from typing import Any

from cocotb.triggers import RisingEdge

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode, ReadRange

_OUTPUTS = (
    *("tile", "mode", "biasing", "rows", "column", "word_line", "line", "inhibit", "pulse"),
    *("integrate", "convert", "group", "range", "gain", "sequence"),
)


class FrontEndDriver:
    """The controller's side of the port ``port`` of a DUT.

    Each access begins in SAFE and ends there. Where the DUT breaks the port's timing, the answer
    is wrong.
    """

    def __init__(self, dut: Any, config: CrossbarConfig, clk: Any) -> None:
        self._port = {name: getattr(dut, f"port__{name}") for name in _OUTPUTS}
        self._ready = dut.port__ready
        self._codes = dut.port__codes
        self._saturated = dut.port__saturated
        self._config = config
        self._edge = RisingEdge(clk)
        self.safe()

    def safe(self) -> None:
        """Everything off."""
        for signal in self._port.values():
            signal.value = 0

    async def pulse(
        self,
        tile: int,
        row: int,
        column: int,
        mode: BiasMode,
        word_line: int,
        line: int,
        width: int,
    ) -> None:
        """One write pulse of `width` cycles."""
        port = self._port
        for name, value in (
            *(("tile", tile), ("rows", 1 << row), ("column", column), ("mode", int(mode))),
            *(("word_line", word_line), ("line", line), ("inhibit", 1)),
        ):
            port[name].value = value
        await self._until_ready()
        port["pulse"].value = 1
        for _ in range(width):
            await self._edge
        port["pulse"].value = 0
        await self._edge
        # What a cell gets is settled: the port may be cleared at once.
        self.safe()
        await self._until_ready()

    async def read(self, tile: int, row: int, column: int) -> int:
        """A conversion of one cell."""
        adcs = self._config.adcs
        port = self._port
        await self._integrate(tile, 1 << row, 0, column)
        port["range"].value = int(ReadRange.CELL)
        codes, _ = await self._convert(column // adcs)
        self.safe()
        await self._edge
        return codes[column % adcs]

    async def product(
        self, tile: int, rows: int, gain: int, sequence: int
    ) -> tuple[list[int], list[bool]]:
        """Codes of all columns, and whether each was saturated."""
        port = self._port
        await self._integrate(tile, rows, sequence, 0)
        port["range"].value = int(ReadRange.PRODUCT)
        port["gain"].value = gain
        codes, saturated = [], []
        for group in range(self._config.groups):
            some, full = await self._convert(group)
            codes += some
            saturated += full
        self.safe()
        await self._edge
        return codes, saturated

    async def strobe_in_safe(self, name: str) -> None:
        """A strobe that means nothing; `ready` is not waited for."""
        self._port[name].value = 1
        await self._edge
        self.safe()
        await self._edge

    async def _integrate(self, tile: int, rows: int, sequence: int, column: int) -> None:
        port = self._port
        for name, value in (
            *(("tile", tile), ("rows", rows), ("column", column), ("sequence", sequence)),
            ("mode", int(BiasMode.READ)),
        ):
            port[name].value = value
        await self._until_ready()
        await self._strobe("integrate")

    async def _convert(self, group: int) -> tuple[list[int], list[bool]]:
        self._port["group"].value = group
        await self._strobe("convert")
        adcs, codes = self._config.adcs, self._codes.value.to_unsigned()
        saturated = self._saturated.value.to_unsigned()
        mask = (1 << CODE_BITS) - 1
        return (
            [codes >> (CODE_BITS * lane) & mask for lane in range(adcs)],
            [bool(saturated >> lane & 1) for lane in range(adcs)],
        )

    async def _strobe(self, name: str) -> None:
        """A strobe of one cycle, in a cycle with ready; returns with ready high again."""
        signal = self._port[name]
        signal.value = 1
        await self._edge
        signal.value = 0
        await self._until_ready()

    async def _until_ready(self) -> None:
        """At least one cycle, and on until ready was high at an edge."""
        await self._edge
        while not self._ready.value:
            await self._edge
