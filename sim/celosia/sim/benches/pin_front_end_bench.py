"""Bench of `celosia.hdl.crossbar.pin_front_end.PinFrontEnd`: random accesses reach the array."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.crossbar.config import CODE_BITS, VOLTAGE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import GAIN_BITS, WRITE_MODES, BiasMode
from celosia.sim.block_bench import BlockBench
from celosia.sim.front_end_driver import FrontEndDriver
from celosia.sim.pin_board import Levels, PinBoard, Pulse

ACCESSES = 60


def sample(levels: Levels, lane: int) -> int:
    """A code that depends on all that selects it; full scale for every eighth or so."""
    mixed = lane * 7919
    for name in ("rows", "column", "group", "tile", "mode", "range", "gain"):
        mixed = (mixed ^ levels[name]) * 0x9E3779B1 % (1 << 32)
    return 4095 if mixed % 8 == 0 else mixed >> 20


class Rig:
    """The DUT between the controller's side of its port and a board."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        self.dut, self.rng = dut, bench.rng
        self.config = CrossbarConfig(**bench.parameters["config"])
        self.driver = FrontEndDriver(dut, self.config, bench.clk)
        self.board = PinBoard(dut, self.config, bench.clk, sample)
        self._edge = RisingEdge(bench.clk)
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        """Nothing is driven in the second cycle after mode SAFE, whatever was under way."""
        dut, rested = self.dut, 0
        while True:
            await self._edge
            rested = rested + 1 if int(dut.port__mode.value) == BiasMode.SAFE else 0
            if rested > 1:
                for pin in ("enable", "pulse", "hold"):
                    assert not getattr(dut, f"pins__{pin}").value, f"{pin} in SAFE"
                assert dut.pins__dac_sync_n.value, "a DAC's frame in SAFE"
                assert dut.pins__adc_cs_n.value, "an ADC's frame in SAFE"

    def draw_write(self) -> dict[str, Any]:
        """What `FrontEndDriver.pulse` takes."""
        rng, config = self.rng, self.config
        return {
            "tile": rng.randrange(config.tiles),
            "row": rng.randrange(config.rows),
            "column": rng.randrange(config.columns),
            "mode": rng.choice(WRITE_MODES),
            "word_line": rng.getrandbits(VOLTAGE_BITS),
            "line": rng.getrandbits(VOLTAGE_BITS),
            "width": rng.randint(1, 20),
        }

    def expected_codes(self, levels: Levels) -> tuple[list[int], list[bool]]:
        """Codes of one group, and whether they are at the converter's end."""
        bits = self.config.adc_bits
        codes = [sample(levels, lane) >> (CODE_BITS - bits) for lane in range(self.config.adcs)]
        return codes, [code == (1 << bits) - 1 for code in codes]


def read_levels(**levels: int) -> dict[str, int]:
    """Levels of the chain in a read."""
    return {"mode": BiasMode.READ, "column": 0, "range": 0, "gain": 0, **levels}


@cocotb.test()
async def writes_and_reads(dut: Any) -> None:
    """Random pulses, reads of cells and products."""
    bench = await BlockBench.start(dut, timeout_cycles=1_000_000)
    rig = Rig(dut, bench)
    rng, config, expected = rig.rng, rig.config, []
    for _ in range(ACCESSES):
        kind = rng.choice(["pulse", "read", "product"])
        if kind == "pulse":
            write = rig.draw_write()
            await rig.driver.pulse(**write)
            same = {name: write[name] for name in ("column", "tile", "mode")}
            levels = {**same, "rows": 1 << write["row"], "group": 0, "biasing": 0, "range": 0}
            levels["gain"] = 0
            pulse = Pulse(levels, write["word_line"], write["line"], write["width"])
            expected.append(pulse)
        elif kind == "read":
            cell = rng.randrange(config.tiles), rng.randrange(config.rows)
            column = rng.randrange(config.columns)
            code = await rig.driver.read(*cell, column)
            group = column // config.adcs
            levels = read_levels(tile=cell[0], rows=1 << cell[1], column=column, group=group)
            assert code == rig.expected_codes(levels)[0][column % config.adcs]
        else:
            tile, rows = rng.randrange(config.tiles), rng.getrandbits(config.rows)
            gain = rng.getrandbits(GAIN_BITS)
            codes, full = await rig.driver.product(tile, rows, gain, rng.getrandbits(32))
            for group in range(config.groups):
                levels = read_levels(tile=tile, rows=rows, group=group, range=1, gain=gain)
                of_group = slice(group * config.adcs, (group + 1) * config.adcs)
                assert (codes[of_group], full[of_group]) == rig.expected_codes(levels)
    await bench.cycles(4)
    assert rig.board.pulses == expected
    assert len(expected) > ACCESSES // 6


@cocotb.test()
async def safe_at_any_time(dut: Any) -> None:
    """Accesses that end early, in every state; the next one is as good as any."""
    bench = await BlockBench.start(dut, timeout_cycles=1_000_000)
    rig = Rig(dut, bench)
    rng = rig.rng
    for _ in range(ACCESSES):
        write = rig.draw_write()
        access: Any = rig.driver.pulse(**{**write, "width": 200})
        if rng.getrandbits(1):
            access.close()
            access = rig.driver.read(write["tile"], write["row"], write["column"])
        task = cocotb.start_soon(access)
        await bench.cycles(rng.randint(1, 300))
        task.cancel()
        rig.driver.safe()
        await bench.cycles(rng.randint(2, 5))
        await rig.driver.pulse(**write)
        await bench.cycles(3)
        pulse = rig.board.pulses[-1]
        assert (pulse.word_line, pulse.line) == (write["word_line"], write["line"])
        assert pulse.levels["rows"] == 1 << write["row"]
        assert pulse.cycles == write["width"]
