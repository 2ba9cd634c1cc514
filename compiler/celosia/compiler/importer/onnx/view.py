"""How the axes of an ONNX tensor lie in the tensor that is stored.

ONNX has images as NCHW, the NPU stores NHWC. Nothing is moved for that: every value knows, for each
of its axes, the *atoms* that it is made of (factors of its size, slowest first), and in which order
the stored tensor has these. A transpose or reshape regroups atoms; only what needs another order in
memory makes a TRANSPOSE operator. Atoms of size 1 are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Atom:
    """A factor of an axis; each is itself, whatever its size."""

    size: int


Group = tuple[Atom, ...]


def _axis(size: int) -> Group:
    return (Atom(size),) if size > 1 else ()


def size_of(group: Sequence[Atom]) -> int:
    """Product of the atoms' sizes."""
    return math.prod(atom.size for atom in group)


@dataclass(frozen=True)
class View:
    """`logical` has the atoms of each axis in ONNX's order, `stored` those of each axis in memory.

    Both hold the same atoms; in either, later ones change faster.
    """

    logical: tuple[Group, ...]
    stored: tuple[Group, ...]

    @classmethod
    def plain(cls, shape: Sequence[int]) -> "View":
        """A tensor stored as ONNX has it."""
        groups = tuple(_axis(size) for size in shape)
        return cls(groups, groups)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes in ONNX's order."""
        return tuple(size_of(group) for group in self.logical)

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of the tensor in memory."""
        return tuple(size_of(group) for group in self.stored)

    @property
    def memory(self) -> Group:
        """All atoms in the order of memory."""
        return tuple(atom for group in self.stored for atom in group)

    @property
    def order(self) -> Group:
        """All atoms in ONNX's order."""
        return tuple(atom for group in self.logical for atom in group)

    @property
    def is_plain(self) -> bool:
        """Whether memory holds the values in ONNX's order."""
        return self.memory == self.order

    def transposed(self, permutation: Sequence[int]) -> "View":
        """Axes in another order; memory stays."""
        return replace(self, logical=tuple(self.logical[axis] for axis in permutation))

    def reshaped(self, shape: Sequence[int]) -> "View | None":
        """Axes cut and joined; memory stays. None where atoms can't be cut so."""
        pending = list(self.order)
        cuts: dict[Atom, Group] = {}
        logical = []
        for size in shape:
            group: list[Atom] = []
            needed = size
            while needed > 1:
                if not pending:
                    return None
                atom = pending.pop(0)
                if needed % atom.size == 0:
                    group.append(atom)
                    needed //= atom.size
                    continue
                if atom.size % needed:
                    return None
                head, tail = Atom(needed), Atom(atom.size // needed)
                whole = next((key for key, parts in cuts.items() if atom in parts), None)
                if whole is None:
                    cuts[atom] = (head, tail)
                else:
                    cuts[whole] = (*cuts[whole][:-1], head, tail)
                group.append(head)
                pending.insert(0, tail)
                needed = 1
            logical.append(tuple(group))
        if pending:
            return None
        stored = tuple(
            tuple(part for atom in group for part in cuts.get(atom, (atom,)))
            for group in self.stored
        )
        return View(tuple(logical), stored)

    def channel_order(self, axis: int) -> NDArray[np.intp]:
        """For each position of an axis in memory its index in ONNX's order."""
        logical = self.logical[axis]
        stored = [atom for atom in self.memory if atom in logical]
        indices = np.arange(size_of(logical)).reshape([atom.size for atom in logical])
        return indices.transpose([logical.index(atom) for atom in stored]).reshape(-1)

    def axis_order(self) -> tuple[int, ...] | None:
        """The axes in the order of memory, where memory has whole axes one after another.

        Axes of size 1 may stand anywhere: as in NHWC, or else as in ONNX, where that fits.
        """
        rank = len(self.logical)
        for candidate in (channels_last(rank), tuple(range(rank))):
            if self._holds(candidate):
                return candidate
        places = {atom: place for place, atom in enumerate(self.memory)}
        found = sorted(range(rank), key=lambda axis: [places[atom] for atom in self.logical[axis]])
        return tuple(found) if self._holds(found) else None

    def _holds(self, axes: Sequence[int]) -> bool:
        return self.memory == tuple(atom for axis in axes for atom in self.logical[axis])

    def in_order(self, axes: Sequence[int]) -> "View":
        """A tensor with one stored dimension for each of `axes`, in their order."""
        return replace(self, stored=tuple(self.logical[axis] for axis in axes))


def channels_last(rank: int) -> tuple[int, ...]:
    """The axes of an image [batch, channels, ...] with its channels last."""
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


def fresh(shape: Sequence[int], axes: Sequence[int]) -> View:
    """A new tensor of a shape whose stored dimensions are `axes`."""
    groups = tuple(_axis(size) for size in shape)
    return View(groups, tuple(groups[axis] for axis in axes))
