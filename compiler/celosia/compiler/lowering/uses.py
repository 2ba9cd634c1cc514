"""Who makes and who uses the tensors of a body, and where these may lie therefore."""

from collections.abc import Collection, Sequence
from typing import Any

from celosia.compiler.lowering.views import View
from celosia.golden.graph import ELEMENTWISE_KINDS, Graph, OpKind

_WRITERS = {
    OpKind.CONV_2D,
    OpKind.DEPTHWISE_CONV_2D,
    OpKind.AVERAGE_POOL_2D,
    OpKind.MAX_POOL_2D,
    OpKind.PAD,
    OpKind.CONCATENATION,
    OpKind.STRIDED_SLICE,
}
"""Operators that can leave something between the pixels that they write."""
_READERS = _WRITERS | {OpKind.MEAN}
"""Operators that can read such pixels."""


class Uses:
    """Makers and users of tensors; `outputs` are those of the body."""

    def __init__(self, graph: Graph, body: Sequence[int], outputs: Collection[int]) -> None:
        self._graph = graph
        self._outputs = outputs
        self._makers = {graph.operators[index].outputs[0]: index for index in body}
        self._users: dict[int, list[OpKind]] = {}
        for index in body:
            operator = graph.operators[index]
            for tensor in operator.inputs:
                self._users.setdefault(tensor, []).append(operator.kind)

    def may_lie(self, tensor: int, place: View) -> bool:
        """Whether the body can make a tensor in a place within another tensor."""
        if tensor not in self._makers:
            return False
        if not place.spaced:
            return self._natural(tensor)
        maker = self._graph.operators[self._makers[tensor]].kind
        return maker in _WRITERS and self.may_be_read(tensor, place)

    def may_be_read(self, tensor: int, place: View) -> bool:
        """Whether all that use a tensor can read it from a place within another tensor."""
        if not place.spaced:
            return True
        return set(self._users.get(tensor, ())) <= _READERS and tensor not in self._outputs

    def _natural(self, tensor: int) -> bool:
        """Whether a tensor lies in pixels of its own channels."""
        if tensor not in self._makers:
            return True
        operator = self._graph.operators[self._makers[tensor]]
        attributes: Any = operator.attributes
        if operator.kind in ELEMENTWISE_KINDS:
            return all(self._natural(operand) for operand in operator.inputs[:2])
        if operator.kind is OpKind.MEAN:
            return bool(attributes["keep_dims"])
        return operator.kind in _WRITERS | {OpKind.FULLY_CONNECTED}
