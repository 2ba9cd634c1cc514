"""Weights as conductance levels, sliced by cell bits.

Differential: the weight of physical output c lies in 2 * slices neighbouring columns of its row:
column (c * slices + s) * 2 + p holds slice s of the magnitude (0 the least significant, `cell_bits`
each) where the sign is p (0 positive, 1 negative), and level 0 where it isn't.

Offset: column c * slices + s holds slice s of the weight + 128. The reference is one output more,
of weights that are all 0. Its columns are subtracted from those of every output, and so take away
128 times the inputs, and what cells of level 0 leak, as the negative columns of a pair do.
"""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import MAGNITUDE_BITS, CrossbarConfig, WeightMapping

Levels = NDArray[np.int64]

WEIGHT_OFFSET = 1 << (MAGNITUDE_BITS - 1)
"""What is added to a weight in the mapping `offset`."""


def levels_of(weights: NDArray[np.int8], config: CrossbarConfig) -> Levels:
    """Levels [rows, columns] of a tile for weights [at most rows, at most outputs].

    Rows and outputs that aren't given, and spare outputs, get the levels of weight 0.
    """
    offset = config.mapping == WeightMapping.OFFSET
    signed = np.zeros((config.rows, config.outputs + config.spares + offset), np.int64)
    signed[: weights.shape[0], : weights.shape[1]] = weights
    if offset:
        magnitudes = (signed + WEIGHT_OFFSET)[..., None]
    else:
        magnitudes = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=-1)
    shifts = config.cell_bits * np.arange(config.slices)
    slices = (magnitudes[:, :, None, :] >> shifts[:, None]) & (config.levels - 1)
    return slices.reshape(config.rows, config.columns)


def weights_of(levels: Levels, config: CrossbarConfig) -> NDArray[np.int64]:
    """The weights [rows, outputs and spares] that levels [rows, columns] stand for."""
    added, subtracted = sides_of(levels, config)
    place = 1 << (config.cell_bits * np.arange(config.slices))
    weights: NDArray[np.int64] = ((added - subtracted) * place).sum(axis=2)
    return weights


def sides_of(values: NDArray[np.int64], config: CrossbarConfig) -> tuple[Levels, Levels]:
    """Of values [n, columns], what is added and what is subtracted for each physical output and
    slice: [n, outputs and spares, slices], and the same or, of the reference, [n, 1, slices]."""
    if config.mapping == WeightMapping.OFFSET:
        of_output = values.reshape(len(values), -1, config.slices)
        return of_output[:, :-1], of_output[:, -1:]
    pairs = values.reshape(len(values), -1, config.slices, 2)
    return pairs[..., 0], pairs[..., 1]


def columns_of(output: int, config: CrossbarConfig) -> slice:
    """Physical columns of a physical output, without the reference."""
    return slice(output * config.output_columns, (output + 1) * config.output_columns)
