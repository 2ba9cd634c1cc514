"""The emulator's converters in range PRODUCT: a group of columns at a time."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.emulation import (
    CONDUCTANCE_BITS,
    PRODUCT_PURPOSE,
    SLOPE_FRACTION,
    SPREAD_FRACTION,
    EmulatorConfig,
)
from celosia.golden.crossbar.front_end import GAIN_BITS, SEQUENCE_BITS
from celosia.hdl.crossbar.emulator_draws import LATENCY, Draw

__all__ = ["Converters"]

_NOISE_BITS = 30
"""510 * 4095 * 2^9 / 2^8, signed, with room."""


class Converters(wiring.Component):
    """Noise, gain, rounding and range of `adcs` columns.

    Codes are there with ``done``, 3 cycles after ``start``, or 7 with noise, and stay.

    Members
    -------
    start : In(1)
        Convert; the inputs are stable until ``done``.
    group, gain, tile, sequence : In
        As on the front-end port.
    sums : In
        Of every column.
    codes, saturated : Out
        Of the group's columns.
    done : Out(1)
        Strobe.
    """

    def __init__(self, config: CrossbarConfig, emulator: EmulatorConfig, sum_bits: int) -> None:
        self._config = config
        self._emulator = emulator
        self._sum_bits = sum_bits
        super().__init__(
            {
                "start": In(1),
                "group": In(range(max(2, config.groups))),
                "gain": In(GAIN_BITS),
                "tile": In(range(max(2, config.tiles))),
                "sequence": In(SEQUENCE_BITS),
                "sums": In(data.ArrayLayout(sum_bits, config.columns)),
                "codes": Out(data.ArrayLayout(CODE_BITS, config.adcs)),
                "saturated": Out(config.adcs),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, emulator = self._config, self._emulator
        noisy = emulator.product_spread > 0
        # picked | (draw, scaled) | multiplied | codes
        cycles = 3 + (LATENCY + 1 if noisy else 0)
        under_way = Signal(cycles)
        m.d.sync += under_way.eq(Cat(self.start, under_way))
        m.d.comb += self.done.eq(under_way[-1])
        shift = SLOPE_FRACTION + CONDUCTANCE_BITS - config.cell_bits
        highest = (1 << config.adc_bits) - 1
        groups = [
            Cat(*[self.sums[g * config.adcs + lane] for lane in range(config.adcs)])
            for g in range(config.groups)
        ]
        chosen = Signal(config.adcs * self._sum_bits)
        with m.Switch(self.group):
            for number, group in enumerate(groups):
                with m.Case(number):
                    m.d.comb += chosen.eq(group)
        for lane in range(config.adcs):
            picked = Signal(self._sum_bits, name=f"picked_{lane}")
            m.d.sync += picked.eq(chosen.word_select(lane, self._sum_bits))
            found = picked
            if noisy:
                m.submodules[f"draw_{lane}"] = draw = Draw(emulator.seed, (PRODUCT_PURPOSE,))
                m.d.comb += [
                    draw.place.eq(self.tile * config.columns + self.group * config.adcs + lane),
                    draw.number.eq(self.sequence),
                ]
                noise = Signal(signed(_NOISE_BITS), name=f"noise_{lane}")
                m.d.comb += noise.eq(
                    ((draw.deviate * emulator.product_spread) << self._half_bits(m, picked, lane))
                    >> (SPREAD_FRACTION + emulator.noise_fraction)
                )
                noised = Signal(signed(_NOISE_BITS), name=f"noised_{lane}")
                m.d.sync += noised.eq(picked + noise)
                found = Mux(noised < 0, 0, noised.as_unsigned())
            scaled = Signal(_NOISE_BITS + GAIN_BITS, name=f"scaled_{lane}")
            m.d.sync += scaled.eq(found * self.gain)
            code = Signal(_NOISE_BITS + GAIN_BITS, name=f"code_{lane}")
            m.d.comb += code.eq((scaled + (1 << (shift - 1))) >> shift)
            m.d.sync += [
                self.codes[lane].eq(Mux(code > highest, highest, code)),
                self.saturated[lane].eq(code >= highest),
            ]
        return m

    def _half_bits(self, m: Module, value: Signal, lane: int) -> Signal:
        """Half the number of bits of a sum, rounded down: its root is about two to that."""
        half = Signal(range(self._sum_bits), name=f"half_bits_{lane}")
        for place in range(self._sum_bits):
            with m.If(value[place]):
                m.d.comb += half.eq((place + 1) >> 1)
        return half
