"""Names of the rounding profiles and of the requantiser's modes.

`celosia.golden.quantization` defines their arithmetic; this module is what gateware, instruction
set and configuration share.
"""

from enum import IntEnum, StrEnum


class RoundingProfile(StrEnum):
    """Whose arithmetic a whole network follows."""

    TFLM = "tflm"
    """TensorFlow Lite Micro: double rounding everywhere."""
    LITERT = "litert"
    """LiteRT's reference kernels: FULLY_CONNECTED in float64, double rounding elsewhere."""
    SINGLE = "single"
    """Single rounding everywhere, as TOSA and CMSIS-NN may be built."""
    FLOAT32 = "float32"
    """ONNX Runtime: everything in float32, half to even; matrix products are XNNPACK's, too."""


class RoundingMode(IntEnum):
    """How one accumulator is requantised; the value stands in the instruction word."""

    DOUBLE = 0
    """Integer multiply; drop 31 bits, halves up; then shift right, halves away from zero."""
    SINGLE = 1
    """Integer multiply and shift, rounded once, halves up."""
    AVERAGE = 2
    """Integer multiply; drop 31 bits without rounding; then shift right, halves away from zero."""
    FLOAT32 = 3
    """float32(acc) times a float32 scale, rounded to float32, then half to even."""
    FLOAT64 = 4
    """float64(acc) times a float64 scale, rounded to float64, then half away from zero."""


FLOAT_MODES = frozenset({RoundingMode.FLOAT32, RoundingMode.FLOAT64})
"""Modes that multiply as floating-point numbers."""

PROFILE_MODES = {
    RoundingProfile.TFLM: (RoundingMode.DOUBLE, RoundingMode.AVERAGE),
    RoundingProfile.LITERT: (RoundingMode.DOUBLE, RoundingMode.AVERAGE, RoundingMode.FLOAT64),
    RoundingProfile.SINGLE: (RoundingMode.DOUBLE, RoundingMode.SINGLE, RoundingMode.AVERAGE),
    RoundingProfile.FLOAT32: (RoundingMode.DOUBLE, RoundingMode.AVERAGE, RoundingMode.FLOAT32),
}
"""The modes that a requantiser needs for a profile; pooling takes DOUBLE in every one."""

BIAS_PLANES = 4
"""Byte planes of a parameter record that hold biases; one of exponents and the multipliers follow.
"""


def record_planes(mode: RoundingMode) -> int:
    """Byte planes of a whole parameter record: those of its multiplier depend on the mode."""
    multiplier_bytes = 7 if mode is RoundingMode.FLOAT64 else 4
    return BIAS_PLANES + 1 + multiplier_bytes
