"""Configurations of odd geometries."""

from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.rounding import RoundingProfile


def odd_config(rows, columns, lanes, depth=64):
    """An array of any sides, with room for small networks and every rounding profile."""
    return NpuConfig(
        name=f"odd{rows}x{columns}",
        rows=rows,
        columns=columns,
        scratchpad_kib=128,
        weight_kib=1024,
        accumulator_depth=depth,
        requantizer_lanes=lanes,
        profiles=tuple(RoundingProfile),
    )


ARRAYS = [PRESETS["npu8x8"], PRESETS["npu16x16"], odd_config(6, 10, 3), odd_config(10, 4, 5)]
"""Square ones, and one of each kind with idle columns or shared vectors."""
