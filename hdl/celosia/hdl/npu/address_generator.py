"""Nested counters that walk an image without a multiplier: implicit im2col, and pooling windows."""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import ADDRESS_BITS, COORDINATE_BITS, LOOP_LEVELS, Matmul, MatrixLoop
from celosia.hdl.npu.interfaces import field_width

__all__ = ["AddressGenerator", "Bounds", "LoopSetting", "position_layout", "run_layout"]

COUNT_BITS = field_width(MatrixLoop, "count")
RUN_COUNT_BITS = field_width(Matmul, "rows")

LoopSetting = data.StructLayout(
    {
        "level": unsigned(field_width(MatrixLoop, "level")),
        "count": unsigned(COUNT_BITS),
        "address_step": unsigned(ADDRESS_BITS),
        "y_step": signed(COORDINATE_BITS),
        "x_step": signed(COORDINATE_BITS),
    }
)
"""One level of the nest: how often it steps, and what a step adds."""

Point = data.StructLayout(
    {
        "address": unsigned(ADDRESS_BITS),
        "y": signed(COORDINATE_BITS),
        "x": signed(COORDINATE_BITS),
    }
)
"""An address and a place in the image."""

Bounds = data.StructLayout(
    {"height": unsigned(COORDINATE_BITS), "width": unsigned(COORDINATE_BITS)}
)
"""Size of the image; positions outside of it are padding."""


def run_layout(tag: Shape) -> data.StructLayout:
    """A run: where it starts, and its own counts for the two levels that the instruction gives.

    With ``alone`` these are all that it walks: each other level has one iteration. ``tag`` is a
    shape; its value comes back with every position of the run.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "y": signed(COORDINATE_BITS),
            "x": signed(COORDINATE_BITS),
            "counts": data.ArrayLayout(unsigned(RUN_COUNT_BITS), 2),
            "alone": 1,
            "tag": tag,
        }
    )


def position_layout(tag: Shape) -> data.StructLayout:
    """A position: its address, 0 where it isn't ``inside`` the image, and its place in the nest.

    Bit l of ``first`` and of ``last`` is 1 in the first and in the last iteration of level l.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "inside": 1,
            "first": unsigned(LOOP_LEVELS),
            "last": unsigned(LOOP_LEVELS),
            "tag": tag,
        }
    )


class AddressGenerator(wiring.Component):
    """A nest of five loops, level 0 innermost, that gives an address and a place in the image.

    A run offers product(counts) positions: address, y and x are those of the run plus, for each
    level, its iteration times its step. Addresses are modulo 2^24, y and x modulo 2^16. A position
    is inside where 0 <= y < height and 0 <= x < width.

    Throughput: a position every cycle, without a gap between runs. Latency: the first position is
    offered 2 cycles after its run was taken.

    Back-pressure: ``runs`` and the settings are taken only between runs, that is in the cycle in
    which the last position leaves the counters or later, so that a setting never disturbs a run. A
    setting waits while a run is offered. Counts must be at least 1, which nothing checks.

    Reset ends the run. Settings have no value before they are first made.

    Parameters
    ----------
    run_levels : (int, int)
        The levels whose counts come with each run, in the order of its ``counts``.
    tag : int or shape-like
        Shape of what travels with a run.

    Members
    -------
    settings : In(stream.Signature(LoopSetting))
        Sets a level; the count of ``run_levels`` is not used.
    bounds : In(stream.Signature(Bounds))
        Sets the image's size.
    runs : In(stream.Signature(run_layout(tag)))
        Starts a run.
    positions : Out(stream.Signature(position_layout(tag)))
        The run's positions, level 0 fastest.
    busy : Out(1)
        A position is still to be taken.
    """

    settings: stream.Interface
    bounds: stream.Interface
    runs: stream.Interface
    positions: stream.Interface
    busy: Signal

    def __init__(self, *, run_levels, tag=0):
        if len(set(run_levels)) != 2 or not set(run_levels) <= set(range(LOOP_LEVELS)):
            raise ValueError(
                f"run levels must be two different ones of 0 to {LOOP_LEVELS - 1}, "
                f"not {run_levels!r}"
            )
        self.run_levels = tuple(run_levels)
        tag = unsigned(tag) if isinstance(tag, int) else tag
        super().__init__(
            {
                "settings": In(stream.Signature(LoopSetting)),
                "bounds": In(stream.Signature(Bounds)),
                "runs": In(stream.Signature(run_layout(tag))),
                "positions": Out(stream.Signature(position_layout(tag))),
                "busy": Out(1),
            }
        )

    # Each level keeps the point at which its current iteration began; level 0's is the position
    # itself. To step is to add the step of the lowest level that isn't in its last iteration to
    # that level's point, and to begin all levels below it there: one adder for each coordinate.

    def elaborate(self, platform):
        m = Module()

        def per_level(shape, name):
            return [Signal(shape, name=f"{name}_{i}", reset_less=True) for i in range(LOOP_LEVELS)]

        counts = per_level(COUNT_BITS, "count")
        steps = per_level(Point, "step")
        left = per_level(COUNT_BITS, "left")
        points = per_level(Point, "point")
        first = Signal(LOOP_LEVELS, reset_less=True)
        last = Signal(LOOP_LEVELS, reset_less=True)
        bounds = Signal(Bounds, reset_less=True)
        tag = Signal.like(self.runs.payload.tag, reset_less=True)

        running = Signal()
        move = Signal()
        free = Signal()
        run, position = self.runs, self.positions
        m.d.comb += [
            move.eq(running & (~position.valid | position.ready)),
            free.eq(~running | (move & last.all())),
            run.ready.eq(free),
            self.settings.ready.eq(free & ~run.valid),
            self.bounds.ready.eq(free & ~run.valid),
            self.busy.eq(running | position.valid),
        ]
        with m.If(self.settings.valid & self.settings.ready):
            with m.Switch(self.settings.payload.level):
                for level in range(LOOP_LEVELS):
                    with m.Case(level):
                        m.d.sync += [
                            counts[level].eq(self.settings.payload.count),
                            steps[level].address.eq(self.settings.payload.address_step),
                            steps[level].y.eq(self.settings.payload.y_step),
                            steps[level].x.eq(self.settings.payload.x_step),
                        ]
        with m.If(self.bounds.valid & self.bounds.ready):
            m.d.sync += bounds.eq(self.bounds.payload)

        # The level that steps, and its point after that.
        inner_last = [last[:level].all() for level in range(LOOP_LEVELS)]
        steps_now = [inner_last[level] & ~last[level] for level in range(LOOP_LEVELS)]
        point, step, stepped = Signal(Point), Signal(Point), Signal(Point)
        for level in range(LOOP_LEVELS):
            with m.If(steps_now[level]):
                m.d.comb += [point.eq(points[level]), step.eq(steps[level])]
        m.d.comb += [
            stepped.address.eq(point.address + step.address),
            stepped.y.eq(point.y + step.y),
            stepped.x.eq(point.x + step.x),
        ]

        def begin(level, count):
            """The first iteration of a level."""
            return [left[level].eq(count), first[level].eq(1), last[level].eq(count == 1)]

        with m.If(move):
            for level in range(LOOP_LEVELS):
                with m.If(inner_last[level]):
                    m.d.sync += points[level].eq(stepped)
                    with m.If(last[level]):
                        m.d.sync += begin(level, counts[level])
                    with m.Else():
                        m.d.sync += [
                            left[level].eq(left[level] - 1),
                            first[level].eq(0),
                            last[level].eq(left[level] == 2),
                        ]
            with m.If(last.all()):
                m.d.sync += running.eq(0)
        with m.If(run.valid & run.ready):
            m.d.sync += [running.eq(1), tag.eq(run.payload.tag)]
            for level in range(LOOP_LEVELS):
                count = counts[level]
                if level in self.run_levels:
                    count = run.payload.counts[self.run_levels.index(level)]
                    m.d.sync += counts[level].eq(count)
                else:
                    count = Mux(run.payload.alone, 1, count)
                m.d.sync += begin(level, count)
                m.d.sync += [
                    points[level].address.eq(run.payload.address),
                    points[level].y.eq(run.payload.y),
                    points[level].x.eq(run.payload.x),
                ]

        valid = Signal()
        offered = Signal(position.payload.shape(), reset_less=True)
        here = points[0]
        inside = Signal()
        m.d.comb += inside.eq(_within(here.y, bounds.height) & _within(here.x, bounds.width))
        with m.If(position.ready):
            m.d.sync += valid.eq(0)
        with m.If(move):
            m.d.sync += [
                valid.eq(1),
                offered.address.eq(Mux(inside, here.address, 0)),
                offered.inside.eq(inside),
                offered.first.eq(first),
                offered.last.eq(last),
                offered.tag.eq(tag),
            ]
        m.d.comb += [position.valid.eq(valid), position.payload.eq(offered)]
        return m


def _within(coordinate, size):
    """0 <= coordinate < size, for a signed coordinate."""
    unsigned_part = coordinate.as_unsigned()
    return ~unsigned_part[-1] & (unsigned_part[:-1] < size)
