"""Tensors that lie in another's storage."""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A place in the storage of `owner`: its first vector, and vectors from pixel to pixel.

    `spaced` says that there is something else between the pixels, so that they are no run.
    """

    owner: int
    first: int
    step: int
    spaced: bool
