"""Spare outputs in the place of the worst: what REPAIR makes of the map of defects."""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.mapping import Levels
from celosia.golden.crossbar.mvm import Integers
from celosia.golden.crossbar.programming import CellResults

Defects = NDArray[np.bool_]


def defects_of(results: CellResults, config: CrossbarConfig) -> Defects:
    """The map [rows, columns]: cells of FORM, PROGRAM, SCRUB or BIST that didn't converge.

    Cells that weren't finished, and those that weren't tried, aren't entered.
    """
    defects = np.zeros((config.rows, config.columns), bool)
    bad = (results.result != Result.CONVERGED) & (results.result != Result.ABORTED)
    defects[results.rows, results.columns] = bad
    return defects


def harm_of(defects: Defects, config: CrossbarConfig) -> Integers:
    """How much the defects of each physical output weigh [outputs and spares].

    A defective cell counts as much as its slice does in a weight. Those of the reference count
    nowhere: nothing can stand for it.
    """
    cells = defects[:, : config.reference].sum(axis=0).reshape(-1, config.output_columns)
    slices = np.arange(config.output_columns) * config.slices // config.output_columns
    harm: Integers = (cells << (config.cell_bits * slices)).sum(axis=1)
    return harm


def repaired(defects: Defects, config: CrossbarConfig) -> Integers:
    """The physical output that is to stand for each logical one [outputs].

    The worst output gets the best spare as long as that is better; of equals the first is taken.
    The outputs that moved have to be programmed.
    """
    harm = harm_of(defects, config)
    regular, spare = harm[: config.outputs], harm[config.outputs :]
    outputs = np.arange(config.outputs)
    worst = np.argsort(-regular, kind="stable")
    best = np.argsort(spare, kind="stable")
    for output, place in zip(worst, best, strict=False):
        if spare[place] < regular[output]:
            outputs[output] = config.outputs + place
    return outputs


def placed(levels: Levels, outputs: Integers, config: CrossbarConfig) -> Levels:
    """Levels [rows, columns] with each logical output in its place, and level 0 where there is
    none; the reference stays."""
    by_output = levels[:, : config.reference].reshape(config.rows, -1, config.output_columns)
    moved = np.zeros_like(by_output)
    moved[:, outputs] = by_output[:, : config.outputs]
    return np.hstack([moved.reshape(config.rows, -1), levels[:, config.reference :]])
