"""Mask files: a .npz with a boolean array for each weights tensor, by the tensor's name."""

import io
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.pruning.masks import Masks
from celosia.golden.errors import CelosiaError
from celosia.golden.files import write_atomically
from celosia.golden.graph import MATRIX_KINDS, Graph

_SUFFIX = ".npy"


def read_masks(path: Path, graph: Graph) -> dict[int, NDArray[np.bool_]]:
    """The masks of a file: True keeps a weight. Tensors that it doesn't name are left alone.

    Raises:
        CelosiaError: the file can't be read, or holds something else than masks of this network.
    """
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise CelosiaError(f"can't read masks {str(path)!r}: {error.strerror}") from error
    try:
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy raises whatever its parsers do; the cause is the same
        raise CelosiaError(f"masks {str(path)!r} must be a whole .npz file of arrays") from error
    weights = _weights(graph)
    masks = {}
    for name, mask in arrays.items():
        if name not in weights:
            raise CelosiaError(
                f"masks {str(path)!r} must be of the model's weights tensors "
                f"({', '.join(weights)}), not of {name!r}"
            )
        (index, *others) = weights[name]
        if others:
            raise CelosiaError(
                f"weights tensor {name!r} must be the only one of that name to have a mask"
            )
        shape = graph.tensors[index].shape
        if mask.dtype != np.bool_:
            raise CelosiaError(f"mask of {name!r} must be boolean, not {mask.dtype.name}")
        if mask.shape != shape:
            raise CelosiaError(f"mask of {name!r} must have shape {shape}, not {mask.shape}")
        masks[index] = mask
    return masks


def write_masks(path: Path, graph: Graph, masks: Masks) -> None:
    """Write masks as `read_masks` takes them; the same masks always give the same bytes.

    Raises:
        CelosiaError: the folder is missing or can't be written to.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, mask in sorted(masks.items()):
            member = io.BytesIO()
            np.save(member, mask)
            # Not numpy's own writer: it can't write an array that is named "file".
            entry = zipfile.ZipInfo(graph.tensors[index].name + _SUFFIX)
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED)
    write_atomically(path, buffer.getvalue())


def _weights(graph: Graph) -> dict[str, list[int]]:
    """Weights tensors of matrix operators by their names."""
    found: dict[str, list[int]] = defaultdict(list)
    for operator in graph.operators:
        if operator.kind in MATRIX_KINDS:
            index = operator.inputs[1]
            if index not in found[graph.tensors[index].name]:
                found[graph.tensors[index].name].append(index)
    return dict(found)
