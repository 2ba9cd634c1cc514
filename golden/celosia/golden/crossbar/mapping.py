"""Weights as conductance levels: sign and magnitude on pairs of columns, sliced by cell bits.

The weight of logical output c lies in 2 * slices neighbouring columns of its row: column
(c * slices + s) * 2 + p holds slice s of the magnitude (0 the least significant, `cell_bits` each)
where the sign is p (0 positive, 1 negative), and level 0 where it isn't.
"""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import CrossbarConfig

Levels = NDArray[np.int64]


def levels_of(weights: NDArray[np.int8], config: CrossbarConfig) -> Levels:
    """Levels [rows, columns] of a tile for weights [at most rows, at most outputs].

    Rows and outputs that aren't given, and spare outputs, get level 0.
    """
    signed = np.zeros((config.rows, config.outputs + config.spares), np.int64)
    signed[: weights.shape[0], : weights.shape[1]] = weights
    pairs = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=-1)
    shifts = config.cell_bits * np.arange(config.slices)
    slices = (pairs[:, :, None, :] >> shifts[:, None]) & (config.levels - 1)
    return slices.reshape(config.rows, config.columns)


def weights_of(levels: Levels, config: CrossbarConfig) -> NDArray[np.int64]:
    """The weights [rows, outputs and spares] that levels [rows, columns] stand for."""
    slices = levels.reshape(config.rows, -1, config.slices, 2)
    place = 1 << (config.cell_bits * np.arange(config.slices))
    weights: NDArray[np.int64] = ((slices[..., 0] - slices[..., 1]) * place).sum(axis=2)
    return weights


def columns_of(output: int, config: CrossbarConfig) -> slice:
    """Physical columns of a logical output."""
    return slice(output * config.output_columns, (output + 1) * config.output_columns)
