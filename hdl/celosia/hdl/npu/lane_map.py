"""Which lane of a scratchpad vector each lane of the depthwise engine takes."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import DepthwiseWindow
from celosia.hdl.npu.interfaces import field_width, vector

__all__ = ["LaneMap"]


class LaneMap(wiring.Component):
    """Gives lane j of ``o`` the lane ``lane`` + floor((``phase`` + j) / ``multiplier``) of ``i``.

    Lanes beyond the input's end are 0. The map is kept in a register for each lane, which another
    setting than the last writes one a cycle; no divider is needed.

    Latency: 0 from ``i`` to ``o``; ``lanes`` + 1 cycles until another map stands.

    Reset sets multiplier 1, lane 0 and phase 0.

    Parameters
    ----------
    inputs : int
        R, lanes of the input.
    lanes : int
        Lanes of the output.

    Members
    -------
    set : In(1)
        Pulse while ``ready``: take the map of ``multiplier``, ``lane`` and ``phase``.
    multiplier, lane, phase : In
        As in DEPTHWISE_WINDOW.
    ready : Out(1)
        The map stands.
    i : In(vector(inputs))
        A vector.
    o : Out(vector(lanes))
        The same, mapped.
    """

    def __init__(self, *, inputs, lanes):
        self.inputs = inputs
        self.lanes = lanes
        super().__init__(
            {
                "set": In(1),
                "multiplier": In(field_width(DepthwiseWindow, "multiplier")),
                "lane": In(field_width(DepthwiseWindow, "lane")),
                "phase": In(field_width(DepthwiseWindow, "phase")),
                "ready": Out(1),
                "i": In(vector(inputs)),
                "o": Out(vector(lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        source_bits = range((1 << len(self.lane)) + self.lanes)
        sources = [Signal(source_bits, name=f"source_{j}", init=j) for j in range(self.lanes)]
        multiplier = Signal.like(self.multiplier, init=1)
        lane, phase = Signal.like(self.lane), Signal.like(self.phase)

        # While walking, `next_source` and `next_phase` are those of lane `number`.
        walking = Signal()
        number = Signal(range(self.lanes))
        next_source = Signal(source_bits)
        next_phase = Signal.like(self.phase)
        changed = (self.multiplier != multiplier) | (self.lane != lane) | (self.phase != phase)
        m.d.comb += self.ready.eq(~walking)
        with m.If(self.set & changed):
            m.d.sync += [
                multiplier.eq(self.multiplier),
                lane.eq(self.lane),
                phase.eq(self.phase),
                next_source.eq(self.lane),
                next_phase.eq(self.phase),
                number.eq(0),
                walking.eq(1),
            ]
        with m.If(walking):
            with m.Switch(number):
                for j, source in enumerate(sources):
                    with m.Case(j):
                        m.d.sync += source.eq(next_source)
            m.d.sync += [number.eq(number + 1), next_phase.eq(next_phase + 1)]
            with m.If(next_phase + 1 == multiplier):
                m.d.sync += [next_phase.eq(0), next_source.eq(next_source + 1)]
            with m.If(number == self.lanes - 1):
                m.d.sync += walking.eq(0)

        for j, source in enumerate(sources):
            value = Signal(signed(8), name=f"value_{j}")
            with m.Switch(source):
                for index in range(self.inputs):
                    with m.Case(index):
                        m.d.comb += value.eq(self.i[index])
            m.d.comb += self.o[j].eq(value)
        return m
