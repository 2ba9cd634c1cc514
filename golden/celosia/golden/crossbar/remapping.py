"""Weights around cells that hold what they hold: the others make up for them, as far as they can.

A weight is a sum over slices of (added - subtracted) * 2^(cell_bits * slice). A cell that is stuck
adds what it adds; the free cells of the same weight are set so that the sum comes as near to the
weight as it can, and where a reference has stuck cells, those of all outputs in its row. Which
outputs suffer least from which physical ones is an assignment problem.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.mapping import Levels, levels_of

Integers = NDArray[np.int64]

FREE = -1
"""A cell that takes any level."""


def levels_around(
    weights: NDArray[np.int8], held: Levels, outputs: Integers, config: CrossbarConfig
) -> Levels:
    """Levels of a tile [rows, columns] for weights [at most rows, at most outputs].

    Args:
        weights: of the logical outputs.
        held: the level that each cell is stuck at, or `FREE` [rows, columns].
        outputs: physical output that stands for each logical one [outputs].
        config: sizes.

    Stuck cells are given level 0, as cells of outputs that aren't in use are.
    """
    signed = _wanted(weights, held, config)
    cells = _by_output(held, config)
    levels = np.zeros_like(cells)
    digits, _ = _digits(signed, cells[:, outputs], config)
    signs = [np.maximum(digits, 0), np.maximum(-digits, 0)]
    levels[:, outputs] = np.stack(signs[: cells.shape[-1]], axis=-1)
    reference = np.where(held == FREE, _of_zero(config), 0)[:, config.reference :]
    return np.hstack([levels.reshape(config.rows, -1), reference])


def outputs_around(weights: NDArray[np.int8], held: Levels, config: CrossbarConfig) -> Integers:
    """The physical output for each logical one [outputs], spares included, at which the sum of the
    weights' squared errors is least with the levels that `levels_around` gives."""
    signed = _wanted(weights, held, config)
    cells = _by_output(held, config)
    places = config.outputs + config.spares
    cost = np.zeros((config.outputs, places))
    for place in range(places):
        here = np.broadcast_to(
            cells[:, place, None], (config.rows, config.outputs, *cells.shape[2:])
        )
        cost[:, place] = (_digits(signed, here, config)[1].astype(np.float64) ** 2).sum(axis=0)
    _, chosen = linear_sum_assignment(cost)
    return np.asarray(chosen, np.int64)


def _wanted(weights: NDArray[np.int8], held: Levels, config: CrossbarConfig) -> Integers:
    """What the cells of each output have to come to [rows, outputs]: its weight, and what its
    row's reference takes away."""
    signed = np.zeros((config.rows, config.outputs), np.int64)
    signed[: weights.shape[0], : weights.shape[1]] = weights
    reference = np.where(held == FREE, _of_zero(config), held)[:, config.reference :]
    place = config.cell_bits * np.arange(reference.shape[1])
    return np.asarray(signed + (reference << place).sum(axis=1)[:, None])


def _of_zero(config: CrossbarConfig) -> Levels:
    """Levels of a tile of weight 0 [rows, columns]."""
    return levels_of(np.zeros((0, 0), np.int8), config)


def _by_output(held: Levels, config: CrossbarConfig) -> Integers:
    """[rows, outputs and spares, slices, sign]: one sign, or a positive and a negative one."""
    shape = config.rows, config.outputs + config.spares, config.slices, -1
    return held[:, : config.reference].astype(np.int64).reshape(shape)


def _digits(
    weights: Integers, cells: Integers, config: CrossbarConfig
) -> tuple[Integers, Integers]:
    """What the free cells of each slice have to add [rows, outputs, slices], and what is missing.

    A digit above 0 is a level of the positive cell, one below 0 of the negative one.
    """
    stuck = np.where(cells == FREE, 0, cells)
    place = 1 << (config.cell_bits * np.arange(config.slices))
    signs = np.array([1, -1])[: cells.shape[-1]]
    left = weights - ((stuck * signs).sum(axis=-1) * place).sum(axis=2)
    top = config.levels - 1
    highest = np.where(cells[..., 0] == FREE, top, 0)
    lowest = np.zeros_like(highest)
    if cells.shape[-1] == 2:
        lowest = np.where(cells[..., 1] == FREE, -top, 0)
    return _nearest(left, lowest, highest, config.cell_bits)


def _nearest(
    left: Integers, lowest: Integers, highest: Integers, cell_bits: int
) -> tuple[Integers, Integers]:
    """Digits [..., slices] between two limits whose sum is nearest to `left`, and the rest."""
    slices = lowest.shape[-1]
    if not slices:
        return np.zeros((*left.shape, 0), np.int64), left
    step = 1 << (cell_bits * (slices - 1))
    best: tuple[Integers, Integers] | None = None
    # The nearest sum has one of the two digits between which the quotient lies, or a limit. The one
    # nearer to zero comes first, so that weights without stuck cells are as the mapping has them.
    nearer = np.sign(left) * (np.abs(left) // step)
    for digit in (nearer, nearer + np.sign(left)):
        digit = np.clip(digit, lowest[..., -1], highest[..., -1])
        lower, rest = _nearest(left - digit * step, lowest[..., :-1], highest[..., :-1], cell_bits)
        found = np.concatenate([lower, digit[..., None]], axis=-1)
        if best is None:
            best = found, rest
        else:
            better = np.abs(rest) < np.abs(best[1])
            best = np.where(better[..., None], found, best[0]), np.where(better, rest, best[1])
    assert best is not None
    return best
