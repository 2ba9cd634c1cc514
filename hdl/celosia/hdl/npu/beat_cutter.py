"""How POST's vectors are cut into the requantiser's beats."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig

__all__ = ["BeatCutter", "select"]


class BeatCutter(wiring.Component):
    """Numbers the beats of L lanes of one scratchpad vector after the other.

    A group is L lanes of a scratchpad vector, a slot L columns of an accumulator vector: column
    v * R + group * L + lane is slot * L + lane. A beat enters in the last of the cycles that the
    requantiser takes for one.

    Parameters
    ----------
    config : NpuConfig
        Sizes.

    Members
    -------
    offered : In(1)
        There is a vector.
    advance : In(1)
        A beat may enter.
    restarts : In(1)
        The vector is the last one of its slots.
    valid : Out(1)
        A beat is ready to enter; it does, as `take` says, in a cycle with `advance`.
    take, vector_end : Out(1)
        The beat enters; it is its vector's last.
    group, slot : Out
        Of the beat.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._cycles = config.requantizer_cycles
        self._groups = config.rows // config.requantizer_lanes
        super().__init__(
            {
                "offered": In(1),
                "advance": In(1),
                "restarts": In(1),
                "valid": Out(1),
                "take": Out(1),
                "vector_end": Out(1),
                "group": Out(range(self._groups)),
                "slot": Out(range(self._groups * config.tile_vectors)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pause = self._cycles - 1
        wait = Signal(range(pause + 1), init=pause)  # cycles of a beat before it enters
        with m.If(self.offered & (wait != 0)):
            m.d.sync += wait.eq(wait - 1)
        with m.If(self.take):
            m.d.sync += wait.eq(pause)
        m.d.comb += [
            self.vector_end.eq(self.group == self._groups - 1),
            self.valid.eq(self.offered & (wait == 0)),
            self.take.eq(self.valid & self.advance),
        ]
        with m.If(self.take):
            m.d.sync += [self.group.eq(self.group + 1), self.slot.eq(self.slot + 1)]
            with m.If(self.vector_end):
                m.d.sync += self.group.eq(0)
            with m.If(self.vector_end & self.restarts):
                m.d.sync += self.slot.eq(0)
        return m


def select(m: Module, number: Signal, source: data.View, *, lanes: int, count: int) -> list[Signal]:
    """The elements of `source` from number * lanes on, around its end where it is short.

    `number` is below `count`.
    """
    width = source.shape().elem_shape
    width = width.size if isinstance(width, data.Layout) else width.width
    values = source.as_value()
    selected = Signal(lanes * width)

    def element(index: int) -> Signal:
        index %= source.shape().length
        return values[index * width : (index + 1) * width]

    with m.Switch(number):
        for choice in range(count):
            with m.Case(choice) if choice < count - 1 else m.Default():
                m.d.comb += selected.eq(Cat(element(choice * lanes + i) for i in range(lanes)))
    return [selected[i * width : (i + 1) * width] for i in range(lanes)]
