"""Where tensors live in the scratchpad: they may overlap in space or in time, never in both.

Where the host is to write the next inputs and read the last outputs while a program runs, there
are two placements, which runs take in turn: the second is the first one's mirror image, from the
memory's top down. The first has inputs and outputs at its bottom, and leaves as much free at the
top as these take: there the mirrored ones lie, which the host has to itself.

Where a single placement doesn't fit so, results may also trail their layer's input
(`celosia.compiler.trailing`).
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from celosia.compiler.layers import ElementwiseLayer, sources
from celosia.compiler.lowering import Body
from celosia.compiler.names import short_name
from celosia.compiler.trailing import trailing_leads
from celosia.golden.config import NpuConfig
from celosia.golden.errors import DoesNotFit


@dataclass(frozen=True)
class Interval:
    """A tensor's share of the scratchpad: layers `first` to `last` (both included) need it."""

    tensor: int
    vectors: int
    first: int
    last: int

    def meets(self, other: "Interval") -> bool:
        """Whether both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Trail:
    """The result of layer `index` may share vectors with its source that starts `lead` behind."""

    index: int
    source: Interval
    output: Interval
    lead: int

    @property
    def saved(self) -> int:
        """Vectors that both share at best."""
        return max(min(self.output.vectors - self.lead, self.source.vectors), 0)


Trails = Mapping[frozenset[int], Trail]
"""By source and output."""


@dataclass(frozen=True)
class MemoryPlan:
    """Addresses of the tensors that own storage, in vectors, in one placement or in two."""

    intervals: tuple[Interval, ...]
    placements: tuple[Mapping[int, int], ...]


def plan_memory(body: Body, config: NpuConfig, *, twice: bool = False) -> MemoryPlan:
    """Place every tensor of the body, in two placements where `twice` says so.

    Raises:
        DoesNotFit: they don't; the message says by how many bytes and at which layer.
    """
    intervals = _intervals(body, config)
    shared = _in_place(body, intervals)
    owners = {tensor: view.owner for tensor, view in body.views.items()}
    owners = {tensor: shared.get(owner, owner) for tensor, owner in {**shared, **owners}.items()}
    blocks = _merge(intervals, owners)
    transferred = [body.origin(tensor) for tensor in (*body.inputs, *body.outputs)]
    apart = {owners.get(tensor, tensor) for tensor in transferred} if twice else set()
    trails: Trails = {}
    addresses, needed = _place_best(blocks, apart, trails)
    if needed > config.scratchpad_depth and not twice:
        trails = _trails(body, config, {block.tensor: block for block in blocks}, owners)
        addresses, needed = _place_best(blocks, apart, trails)
    if needed > config.scratchpad_depth:
        _refuse(body, config, intervals, blocks, trails, needed)
    placements = [addresses]
    if twice:
        placements.append(
            {
                block.tensor: config.scratchpad_depth - addresses[block.tensor] - block.vectors
                for block in blocks
            }
        )
    offsets = {tensor: view.first for tensor, view in body.views.items()}
    return MemoryPlan(
        intervals=tuple(intervals.values()),
        placements=tuple(
            {
                tensor: placed[owners.get(tensor, tensor)] + offsets.get(tensor, 0)
                for tensor in intervals
            }
            for placed in placements
        ),
    )


def _intervals(body: Body, config: NpuConfig) -> dict[int, Interval]:
    first = dict.fromkeys(body.inputs, 0)
    last = dict(first)

    def need(tensor: int, index: int) -> None:
        view = body.views.get(tensor)
        for each in (tensor,) if view is None else (view.owner, tensor):
            first.setdefault(each, index)
            last[each] = max(last.get(each, index), index)

    for index, layer in enumerate(body.layers):
        for tensor in (*sources(layer), layer.output):
            need(tensor, index)
    for tensor in body.outputs:
        need(body.origin(tensor), len(body.layers) - 1)
    return {
        tensor: Interval(tensor, body.vectors(tensor, config.rows), first[tensor], last[tensor])
        for tensor in first
    }


def _in_place(body: Body, intervals: Mapping[int, Interval]) -> dict[int, int]:
    """Tensors that take over the place of one that is read for the last time: {tensor: owner}.

    Elementwise layers read vector i of both operands before they write vector i of the result; an
    operand that starts over has fewer vectors than that.
    """
    shared: dict[int, int] = {}
    outputs = {body.origin(tensor) for tensor in body.outputs}
    # The storage that an output lies in, too.
    kept = outputs | body.views.keys() | {v.owner for t, v in body.views.items() if t in outputs}
    for index, layer in enumerate(body.layers):
        if not isinstance(layer, ElementwiseLayer) or layer.output in body.views:
            continue
        for operand in (layer.a, layer.b):
            whole = intervals[operand].vectors == intervals[layer.output].vectors
            if whole and intervals[operand].last == index and operand not in kept:
                shared[layer.output] = shared.get(operand, operand)
                break
    return shared


def _merge(intervals: Mapping[int, Interval], within: Mapping[int, int]) -> list[Interval]:
    """One interval for each owner and all that lies within it."""
    blocks = {t: item for t, item in intervals.items() if t not in within}
    for tensor, owner in within.items():
        if tensor in intervals:
            owner = within.get(owner, owner)
            block, item = blocks[owner], intervals[tensor]
            first, last = min(block.first, item.first), max(block.last, item.last)
            blocks[owner] = Interval(owner, block.vectors, first, last)
    return list(blocks.values())


def _trails(
    body: Body, config: NpuConfig, blocks: Mapping[int, Interval], owners: Mapping[int, int]
) -> Trails:
    """Layers that make one block while they read another for the last time."""
    kept = {owners.get(t, t) for t in map(body.origin, body.outputs)}
    found = {}
    for index, lead in trailing_leads(body, config).items():
        (source,), output = sources(body.layers[index]), body.layers[index].output
        a, b = (blocks[owners.get(tensor, tensor)] for tensor in (source, output))
        if a.last == index == b.first and a.tensor not in kept:
            found[frozenset((a.tensor, b.tensor))] = Trail(index, a, b, lead)
    return found


def _place_best(
    blocks: list[Interval], apart: Set[int], trails: Trails
) -> tuple[dict[int, int], int]:
    """The best of several greedy orders: large, early, long-lived, or late ones first.

    Blocks of `apart` are placed before the others, and their space is needed once more. Returns the
    addresses and what is needed in all.
    """
    orders: tuple[Callable[[Interval], tuple[int, int]], ...] = (
        lambda b: (-b.vectors, b.first),
        lambda b: (b.first, -b.vectors),
        lambda b: (b.first - b.last, -b.vectors),
        lambda b: (-b.vectors * (b.last - b.first + 1), b.first),
        lambda b: (-b.last, -b.first),
    )
    plans = []
    for order in orders:
        ordered = sorted(blocks, key=lambda b: (b.tensor not in apart, *order(b)))
        addresses = _place(ordered, trails)
        ends = {block.tensor: addresses[block.tensor] + block.vectors for block in blocks}
        again = max((ends[tensor] for tensor in apart), default=0)
        plans.append((addresses, max(ends.values()) + again))
    return min(plans, key=lambda plan: plan[1])


def _place(blocks: Sequence[Interval], trails: Trails) -> dict[int, int]:
    """Give each block in turn the smallest gap that fits among those placed at its time."""
    addresses: dict[int, int] = {}
    placed: list[Interval] = []
    for block in blocks:
        neighbours = sorted(
            _taken(other, addresses[other.tensor], block, trails)
            for other in placed
            if other.meets(block)
        )
        address = _best_gap(neighbours, block.vectors)
        addresses[block.tensor] = address
        placed.append(block)
    return addresses


def _taken(other: Interval, address: int, block: Interval, trails: Trails) -> tuple[int, int]:
    """What a block at `address` leaves to `block` only below and above: start and end."""
    start, end = address, address + other.vectors
    trail = trails.get(frozenset((other.tensor, block.tensor)))
    if trail is None or not trail.saved:
        return start, end
    if block is trail.source:
        return start, min(end, start + trail.lead)
    return start + block.vectors - trail.lead, end


def _best_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    best: tuple[int, int] | None = None
    end = 0
    for start, stop in taken:
        if start - end >= size and (best is None or start - end < best[0]):
            best = (start - end, end)
        end = max(end, stop)
    return end if best is None else best[1]


def _refuse(
    body: Body,
    config: NpuConfig,
    intervals: Mapping[int, Interval],
    blocks: Sequence[Interval],
    trails: Trails,
    vectors: int,
) -> None:
    # What is in use at once is the least that any plan needs; the plan may need more.
    in_use = [
        sum(block.vectors for block in blocks if block.first <= index <= block.last)
        for index in range(len(body.layers))
    ]
    for trail in trails.values():
        in_use[trail.index] -= trail.saved
    worst = max(range(len(in_use)), key=lambda index: in_use[index])
    layer = body.layers[worst]
    needed = vectors * config.rows
    available = config.scratchpad_depth * config.rows
    tensors = sum(
        item.first <= worst <= item.last
        for item in intervals.values()
        if item.tensor not in body.views
    )
    raise DoesNotFit(
        f"activations need {needed} bytes of scratchpad, {needed - available} more than the "
        f"{available} of configuration '{config.name}': most are in use at layer "
        f"'{short_name(layer.name)}' ({layer.kind.value}), "
        f"{in_use[worst] * config.rows} bytes in {tensors} tensors; "
        f"scratchpad_kib must be at least {-(-needed // 1024)}"
    )
