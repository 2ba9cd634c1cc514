"""Inputs of a network: from a file, or made up."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Tensor

Sample = list[NDArray[Any]]
"""One value for each input of the network, or for each output."""


def load_samples(path: Path, inputs: list[Tensor]) -> list[Sample]:
    """Samples from a file.

    A .npy file holds one array for a network of one input; a .npz file one for each input, by its
    name (or any name where there is one input). An array has the input's shape, or that shape with
    the number of samples in place of (or before) its first dimension of one.

    Raises:
        CelosiaError: the file can't be read, or its arrays aren't what the network takes.
    """
    arrays = _read(path, inputs)
    stacks = [
        _samples_of(array, tensor, path) for array, tensor in zip(arrays, inputs, strict=True)
    ]
    counts = {len(stack) for stack in stacks}
    if len(counts) > 1:
        raise CelosiaError(
            f"inputs {str(path)!r} must hold equally many samples of each input, "
            f"not {', '.join(str(len(stack)) for stack in stacks)}"
        )
    if not counts.pop():
        raise CelosiaError(f"inputs {str(path)!r} must hold at least one sample, not none")
    return [list(sample) for sample in zip(*stacks, strict=True)]


def read_array(path: Path, what: str) -> NDArray[Any]:
    """The one array of a .npy file. Raises CelosiaError for anything else."""
    try:
        loaded = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except OSError as error:
        raise CelosiaError(f"can't read {what} {str(path)!r}: {error.strerror}") from error
    except Exception as error:  # as below
        raise CelosiaError(f"{what} {str(path)!r} must be a whole .npy file of numbers") from error
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "iufb":
        raise CelosiaError(f"{what} {str(path)!r} must be a whole .npy file of numbers")
    return loaded


def random_samples(inputs: list[Tensor], count: int, seed: int) -> list[Sample]:
    """Seeded samples: int8 over its whole range, floats over the normal distribution."""
    rng = np.random.default_rng(seed)

    def draw(tensor: Tensor) -> NDArray[Any]:
        if np.issubdtype(tensor.dtype, np.integer):
            limits = np.iinfo(tensor.dtype.name)
            return rng.integers(
                limits.min, limits.max, tensor.shape, endpoint=True, dtype=tensor.dtype
            )
        return rng.standard_normal(tensor.shape).astype(tensor.dtype)

    return [[draw(tensor) for tensor in inputs] for _ in range(count)]


def batches(samples: Sequence[Sample], size: int) -> list[Sample]:
    """Samples stacked along their first dimension, `size` to a batch; the last one repeats its end.

    A batch of one is the sample as it is.
    """
    if size == 1:
        return list(samples)
    groups = [list(samples[start : start + size]) for start in range(0, len(samples), size)]
    groups[-1] += [groups[-1][-1]] * (size - len(groups[-1]))
    return [[np.concatenate(values) for values in zip(*group, strict=True)] for group in groups]


def unbatched(outputs: Sequence[Sample], size: int, count: int) -> list[Sample]:
    """The outputs of the first `count` samples of batches of `size`."""
    if size == 1:
        return list(outputs)
    samples = [
        list(sample)
        for batch in outputs
        for sample in zip(*(np.split(value, size) for value in batch), strict=True)
    ]
    return samples[:count]


def _read(path: Path, inputs: list[Tensor]) -> list[NDArray[Any]]:
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise CelosiaError(f"can't read inputs {str(path)!r}: {error.strerror}") from error
    try:
        loaded = np.load(content, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            arrays = {"": loaded}
        else:
            arrays = {name: loaded[name] for name in loaded.files}
    except Exception as error:  # numpy raises whatever its parsers do; the cause is the same
        raise CelosiaError(
            f"inputs {str(path)!r} must be a whole .npy or .npz file of plain numbers"
        ) from error
    if len(inputs) == 1 and len(arrays) == 1:
        return list(arrays.values())
    missing = [tensor.name for tensor in inputs if tensor.name not in arrays]
    if missing:
        raise CelosiaError(
            f"inputs {str(path)!r} must be a .npz file with an array for each input of the "
            f"network; missing: {', '.join(missing)}"
        )
    return [arrays[tensor.name] for tensor in inputs]


def _samples_of(array: NDArray[Any], tensor: Tensor, path: Path) -> NDArray[Any]:
    if array.dtype != tensor.dtype:
        raise CelosiaError(
            f"input '{tensor.name}' must be {tensor.dtype.name}, not the {array.dtype.name} of "
            f"{str(path)!r}; quantise the data as the network's input is quantised"
            if tensor.dtype == np.int8
            else f"input '{tensor.name}' must be {tensor.dtype.name}, not {array.dtype.name}"
        )
    if not np.isfinite(array).all():
        raise CelosiaError(f"input '{tensor.name}' must hold finite numbers, without NaN")
    if array.shape == tensor.shape:
        return array[None]
    if array.shape[1:] == tensor.shape:
        return array
    if tensor.shape[:1] == (1,) and array.shape[1:] == tensor.shape[1:]:
        return array[:, None]
    wanted = ("n", *tensor.shape[1:]) if tensor.shape[:1] == (1,) else ("n", *tensor.shape)
    raise CelosiaError(
        f"input '{tensor.name}' must have shape ({', '.join(map(str, wanted))}) for n samples, "
        f"not {array.shape}"
    )
