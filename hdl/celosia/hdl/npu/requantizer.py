"""The requantiser: int32 sums to int8, in every rounding mode that a configuration needs."""

from collections.abc import Collection

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.rounding import RoundingMode
from celosia.hdl.npu.float_requantizer import RESULT_BITS, Normalizer, ProductRounder
from celosia.hdl.npu.pipeline import delayed
from celosia.hdl.npu.pipelined_multiplier import PipelinedMultiplier
from celosia.hdl.npu.product_scaler import ProductScaler
from celosia.hdl.npu.requantizer_steps import (
    MULTIPLIER_BITS,
    Control,
    RequantizerInput,
    RequantizerOutput,
    clamped,
    lane_layout,
    multiplier_bits,
    shifts,
    zero_point_added,
)

__all__ = ["Requantizer"]


class Requantizer(wiring.Component):
    """Each lane: clamp(requantize(wrap32(acc + bias), multiplier, exponent, mode) + zero_point).

    The result is that of `celosia.golden.quantization`, bit for bit: `FixedPointScaler` for DOUBLE,
    SINGLE and AVERAGE (multiplier 0 to 2^31 - 1, exponent -31 to 30),
    `requantize_float32_integer` for FLOAT32 (multiplier 0 or 2^23 to 2^24 - 1, any exponent), and
    `requantize_float64_integer` for FLOAT64 (multiplier 0 or 2^52 to 2^53 - 1, any exponent). The
    clamp is to `low` .. `high`. A mode that isn't built gives any result.

    Throughput: a beat every cycle. Latency: ``latency`` cycles, 11, or 14 with a float mode.
    Back-pressure: the pipeline stops as a whole while its output waits; ``i.ready`` depends
    combinationally on ``o.ready``. Reset empties it.

    Parameters
    ----------
    lanes : int
        Lanes of a beat, at least 1.
    modes : iterable of RoundingMode
        Modes to build.
    tag : int or shape-like
        Shape of what travels with a beat.
    family : Family, optional
        Of the FPGA, whose multiplier primitives are to be used.

    Members
    -------
    i : In(stream.Signature(RequantizerInput(...)))
        Operands.
    control : In(Control)
        Mode, zero point and clamp; must not change while a beat is inside.
    o : Out(stream.Signature(RequantizerOutput(...)))
        Results, in order.
    """

    i: stream.Interface
    control: data.View
    o: stream.Interface

    def __init__(self, *, lanes, modes, tag=0, family=None):
        if not isinstance(lanes, int) or lanes < 1:
            raise ValueError(f"requantizer lanes must be a positive integer, not {lanes!r}")
        modes = frozenset(modes)
        if not modes or not modes <= set(RoundingMode):
            raise ValueError(f"requantizer modes must be some RoundingMode, not {sorted(modes)!r}")
        self.lanes = lanes
        self.modes = modes
        self._family = family
        self.multiplier_bits = multiplier_bits(modes)
        self.latency = _stages(modes)[1]
        tag = unsigned(tag) if isinstance(tag, int) else tag
        super().__init__(
            {
                "i": In(
                    stream.Signature(
                        RequantizerInput(lanes=lanes, multiplier_bits=self.multiplier_bits, tag=tag)
                    )
                ),
                "control": In(Control),
                "o": Out(stream.Signature(RequantizerOutput(lanes=lanes, tag=tag))),
            }
        )

    @staticmethod
    def lane_products(modes: Collection[RoundingMode]) -> int:
        """How many products of at most 18 x 18 bits a lane makes: multiplier blocks, on an FPGA."""
        return PipelinedMultiplier.pieces(_operand_bits(modes), multiplier_bits(modes))

    def elaborate(self, platform):
        m = Module()
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance),
        ]
        m.submodules.shared = EnableInserter(advance)(shared := Module())
        valid = delayed(shared, self.i.valid, self.latency, "valid", reset_less=False)
        m.d.comb += self.o.valid.eq(valid)
        if Shape.cast(self.o.payload.tag.shape()).width:
            tag = delayed(shared, self.i.payload.tag, self.latency, "tag")
            m.d.comb += self.o.payload.tag.eq(tag)

        for number in range(self.lanes):
            lane = _Lane(self.modes, self._family)
            m.submodules[f"lane_{number}"] = EnableInserter(advance)(lane)
            m.d.comb += [
                lane.enable.eq(advance),
                lane.i.eq(self.i.payload.lanes[number]),
                lane.control.eq(self.control),
                self.o.payload.vector[number].eq(lane.o),
            ]
        return m


def _stages(modes):
    """The stages in which the product and the result are there."""
    floats = modes & {RoundingMode.FLOAT32, RoundingMode.FLOAT64}
    operand = 2 + (Normalizer.LATENCY if floats else 0)
    product = operand + PipelinedMultiplier.LATENCY
    return product, product + 5


def _operand_bits(modes):
    return 33 if RoundingMode.FLOAT64 in modes else 32


class _Lane(wiring.Component):
    """One lane, stopped by `EnableInserter`, and by `enable` where that doesn't reach."""

    def __init__(self, modes, family):
        self.modes = modes
        self._family = family
        self._product, _ = _stages(modes)
        self._normalize = self._product - PipelinedMultiplier.LATENCY - 2  # 0 without float modes
        self.multiplier_bits = multiplier_bits(modes)
        super().__init__(
            {
                "enable": In(1),
                "i": In(lane_layout(self.multiplier_bits)),
                "control": In(Control),
                "o": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        product_stage = self._product

        # Stage 1: the sum with its bias.
        value = Signal(signed(32), reset_less=True)
        exponent = Signal(signed(8), reset_less=True)
        left = Signal(5, reset_less=True)
        right = Signal(5, reset_less=True)
        m.d.sync += [
            value.eq(self.i.acc + self.i.bias),
            exponent.eq(self.i.exponent),
            Cat(left, right).eq(Cat(*shifts(self.i.exponent))),
        ]
        # Stage 2: shifted left for the integer modes.
        shifted = Signal(signed(32), reset_less=True)
        m.d.sync += shifted.eq(value << left)
        operand = shifted
        if self._normalize:
            normalizer = self._add_normalizer(m, value)
            operand = delayed(m, shifted, self._normalize, "shifted")
            operand = Mux(self._is_float(), normalizer.operand, operand)

        m.submodules.multiplier = multiplier = PipelinedMultiplier(
            a_bits=_operand_bits(self.modes), b_bits=self.multiplier_bits, family=self._family
        )
        m.d.comb += [
            multiplier.enable.eq(self.enable),
            multiplier.a.eq(operand),
            multiplier.b.eq(
                delayed(m, self.i.multiplier, product_stage - multiplier.LATENCY, "multiplier")
            ),
        ]
        right = delayed(m, right, product_stage - 1, "right")
        m.submodules.scaler = scaler = ProductScaler()
        m.d.comb += [
            scaler.product.eq(multiplier.product),
            scaler.right.eq(right),
            scaler.mode.eq(self.control.mode),
        ]
        result = scaler.result
        if self._normalize:
            scale = self._add_scale(m, exponent, normalizer)
            negative = delayed(m, value[-1], product_stage - 1, "negative")
            for mode in sorted(self.modes):
                if mode in (RoundingMode.FLOAT32, RoundingMode.FLOAT64):
                    rounder = self._add_rounder(m, mode, multiplier.product, scale, negative)
                    result = Mux(self.control.mode == mode, rounder.result, result)

        moved = Signal(signed(RESULT_BITS), reset_less=True)
        output = Signal(signed(8), reset_less=True)
        m.d.sync += [
            moved.eq(zero_point_added(result, self.control)),
            output.eq(clamped(moved, self.control)),
        ]
        m.d.comb += self.o.eq(output)
        return m

    def _is_float(self):
        mode = self.control.mode
        return (mode == RoundingMode.FLOAT32) | (mode == RoundingMode.FLOAT64)

    def _add_normalizer(self, m, value):
        m.submodules.normalizer = normalizer = Normalizer(rounds=RoundingMode.FLOAT32 in self.modes)
        magnitude = Signal(32, reset_less=True)
        m.d.sync += magnitude.eq(Mux(value < 0, -value, value))
        m.d.comb += [
            normalizer.magnitude.eq(magnitude),
            normalizer.to_float32.eq(self.control.mode == RoundingMode.FLOAT32),
        ]
        return normalizer

    def _add_scale(self, m, exponent, normalizer):
        """Power of two of the product, in the product's stage."""
        stage = 2 + self._normalize
        exponent = delayed(m, exponent, stage - 1, "exponent")
        dropped = Mux(self.control.mode == RoundingMode.FLOAT32, 8, 0)
        scale = Signal(signed(10), reset_less=True)
        m.d.sync += scale.eq(exponent + dropped - normalizer.zeros)
        return delayed(m, scale, self._product - stage - 1, "scale")

    def _add_rounder(self, m, mode, product, scale, negative):
        is_single = mode == RoundingMode.FLOAT32
        rounder = ProductRounder(
            product_bits=48 if is_single else 85,
            significant_bits=MULTIPLIER_BITS[mode],
            ties_to_even=is_single,
        )
        m.submodules[f"rounder_{mode.name.lower()}"] = rounder
        m.d.comb += [
            rounder.product.eq(product),
            rounder.scale.eq(scale),
            rounder.negative.eq(negative),
        ]
        return rounder
