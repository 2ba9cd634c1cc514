"""What both forms of the requantiser have in common: operands, and the first and last steps."""

from amaranth.hdl import Cat, Mux, signed, unsigned
from amaranth.lib import data

from celosia.golden.isa import PostOutput
from celosia.golden.rounding import RoundingMode
from celosia.hdl.npu.float_requantizer import RESULT_BITS
from celosia.hdl.npu.interfaces import field_width, vector

__all__ = [
    "MODE_BITS",
    "MULTIPLIER_BITS",
    "Control",
    "RequantizerInput",
    "RequantizerOutput",
    "clamped",
    "lane_layout",
    "multiplier_bits",
    "shifts",
    "zero_point_added",
]

MODE_BITS = field_width(PostOutput, "mode")
MULTIPLIER_BITS = {
    RoundingMode.DOUBLE: 31,
    RoundingMode.SINGLE: 31,
    RoundingMode.AVERAGE: 31,
    RoundingMode.FLOAT32: 24,
    RoundingMode.FLOAT64: 53,
}
"""Bits of the multiplier that a mode uses."""


def multiplier_bits(modes):
    """Bits of the multiplier where these modes are built."""
    return max(MULTIPLIER_BITS[mode] for mode in modes)


Control = data.StructLayout(
    {"mode": MODE_BITS, "zero_point": signed(8), "low": signed(8), "high": signed(8)}
)
"""What all outputs of an instruction have in common."""


def lane_layout(multiplier_bits):
    """One lane's operands: a sum, and the parameters of its channel."""
    return data.StructLayout(
        {
            "acc": signed(32),
            "bias": signed(32),
            "multiplier": unsigned(multiplier_bits),
            "exponent": signed(8),
        }
    )


def RequantizerInput(*, lanes: int, multiplier_bits: int, tag: object) -> data.StructLayout:
    """Operands of each lane, and the tag."""
    return data.StructLayout(
        {"lanes": data.ArrayLayout(lane_layout(multiplier_bits), lanes), "tag": tag}
    )


def RequantizerOutput(*, lanes: int, tag: object) -> data.StructLayout:
    """Results and tag."""
    return data.StructLayout({"vector": vector(lanes), "tag": tag})


def shifts(exponent):
    """Places to shift left in front of the multiplication and right behind it, 5 bits each."""
    negative = exponent < 0
    return Mux(negative, 0, exponent)[:5], Mux(negative, -exponent, 0)[:5]


def zero_point_added(result, control):
    """The result with its zero point, exact where the clamp can tell: `RESULT_BITS` bits."""
    # What saturates at 10 bits is beyond int8 with any zero point.
    kept = RESULT_BITS - 1
    sign, upper = result[-1], result[kept - 1 :]
    limit = Cat((~sign).replicate(kept - 1), sign)
    saturated = Mux(upper.any() & ~upper.all(), limit, result[:kept])
    return saturated.as_signed() + control.zero_point


def clamped(value, control):
    """The value, at least `low` and at most `high`."""
    return Mux(value < control.low, control.low, Mux(value > control.high, control.high, value))
